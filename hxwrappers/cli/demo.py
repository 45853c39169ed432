"""Find, record, look at, check, import, export, cut and render demonstrations."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import tyro

from hxwrappers.cli.terminal import (
    Json,
    Output,
    Progress,
    check_option,
    demo_environment,
    demo_path,
    prepare_demo_output,
    prepare_output,
    progress_bar,
    text_plot,
)
from hxwrappers.demos import Demo
from hxwrappers.errors import DemoError, InvalidArgumentError

_LABELS = {"seams": "seams (goes on from a stored state, not the step before) at"}
_File = Annotated[Path, tyro.conf.Positional]


def info(file: _File, /, *, as_json: Json = False, width: int = 60, height: int = 8) -> None:
    """Say what a demonstration is, with a plot of the return over its steps.

    Args:
        file: The demonstration, or the name of one that comes with the library.
        as_json: Print one JSON document instead.
        width: Columns of the plot.
        height: Rows of the plot.
    """
    check_option("--width", width, 1)
    check_option("--height", height, 1)
    demo = _demo_of(file)
    facts = _facts(demo)
    if as_json:
        print(json.dumps({"file": str(file), "bytes": demo_path(file).stat().st_size, **facts}))
        return
    print(f"{file} ({demo_path(file).stat().st_size:,} bytes)")
    for name, value in facts.items():
        if value not in (None, {}, []):
            print(f"  {_LABELS.get(name, name.replace('_', ' ')):17} {_line(value)}")
    print("\nreturn over steps")
    print(text_plot(demo.returns(), width=width, height=height))


def verify(file: _File, /, *, as_json: Json = False) -> int:
    """Replay a demonstration from every snapshot and compare; exit code 1 where it differs.

    Args:
        file: The demonstration, or the name of one that comes with the library.
        as_json: Print one JSON document instead.
    """
    demo = _demo_of(file)
    env = demo_environment(demo)
    with progress_bar("step", len(demo)) as progress:
        found = demo.player(env).verify(progress)
    env.close()
    if as_json:
        difference = found.first_difference
        document = {
            "file": str(file),
            "ok": found.ok,
            "steps": found.steps,
            "snapshots": found.snapshots,
            "score": found.score,
            "first_difference": None if difference is None else vars(difference),
        }
        print(json.dumps(document))
    elif found.ok:
        print(
            f"{file}: {found.steps} steps replayed from {found.snapshots} snapshots, all as "
            f"recorded; score {found.score:g}"
        )
    else:
        print(f"hxw: {file} differs from its replay at {found.first_difference}", file=sys.stderr)
    return 0 if found.ok else 1


def import_(
    source: Annotated[str, tyro.conf.Positional],
    /,
    *,
    output: Output,
    game: str | None = None,
    snapshot_every: int = 50,
    as_json: Json = False,
) -> None:
    """Make demonstrations of a file of another kind; each is replayed to check it.

    Args:
        source: An OpenAI *.demo file, a recording's journal (*.journal), or the id of a local
            Minari dataset.
        output: The demonstration to write; for a journal or a dataset a folder.
        game: The ALE's name of the game, where a *.demo file does not tell it.
        snapshot_every: Steps between two snapshots; those of a journal stay where they are.
        as_json: Print a JSON document for each instead.
    """
    check_option("--snapshot-every", snapshot_every, 1)
    if source.endswith(".demo"):
        prepare_demo_output(output)
        from hxwrappers.demos import import_openai_demo  # noqa: PLC0415 - needs ale-py

        with progress_bar("step") as progress:
            demo = import_openai_demo(
                source, game=game, snapshot_every=snapshot_every, progress=progress
            )
        _save(demo, output, as_json)
        return
    if output.suffix == ".npz":
        raise InvalidArgumentError(
            f"{source} may hold several demonstrations: --output is the folder to put them into, "
            f"for example {output.with_suffix('')}."
        )
    index = -1
    for index, demo in enumerate(_demos_of(source, snapshot_every)):
        file = output / f"{index:06d}.npz"
        prepare_output(file)
        _save(demo, file, as_json)
    if index < 0:
        raise DemoError(f"There is no demonstration of a single step in {source}.")


def export(files: Annotated[tuple[Path, ...], tyro.conf.Positional], /, *, dataset: str) -> None:
    """Write demonstrations to a local Minari dataset.

    Args:
        files: The demonstrations, all of one environment.
        dataset: The id of the new dataset, for example montezuma/demos-v0.
    """
    from hxwrappers.demos import demos_to_minari  # noqa: PLC0415 - needs Minari

    if not files:
        raise InvalidArgumentError("Give at least one demonstration to export.")
    env = demo_environment(_demo_of(files[0]))
    with progress_bar("demo", len(files)) as progress:
        written = demos_to_minari(_loaded(files, progress), dataset, env)
    env.close()
    print(f"{dataset}: {written.total_episodes} episodes, {written.total_steps} steps")


def render(
    file: _File,
    /,
    *,
    output: Output,
    start: int = 0,
    stop: int | None = None,
    every: int = 1,
    fps: float | None = None,
) -> None:
    """Render a demonstration to an mp4 video.

    Args:
        file: The demonstration, or the name of one that comes with the library.
        output: The video to write: .mp4.
        start: The step to begin at.
        stop: The step to stop at.
        every: Show every so many steps.
        fps: Frames per second; unless given, those of the game, so that it runs at its own speed.
    """
    from hxwrappers.bridge.imitation import steps_per_second  # noqa: PLC0415 - needs PyTorch
    from hxwrappers.demos import render_demo  # noqa: PLC0415 - needs PyAV
    from hxwrappers.demos.film import film_rates  # noqa: PLC0415 - likewise

    if fps is not None:
        check_option("--fps", fps, 0.001, 1000)
    demo = _demo_of(file)
    end = len(demo) if stop is None else stop
    check_option("--start", start, 0, len(demo))
    check_option("--stop", end, start, len(demo))
    check_option("--every", every, 1, max(1, end - start))
    prepare_output(output)
    env = demo_environment(demo, render_mode="rgb_array")
    if fps is None:
        fps = (steps_per_second(env) or film_rates(env)[0]) / every
    with progress_bar("frame", (end - start) // every) as progress:
        count = render_demo(
            demo,
            env,
            output,
            start=start,
            stop=stop,
            every=every,
            fps=fps,
            progress=progress,
        )
    env.close()
    print(f"{output}: {count} frames")


def slice_(
    file: _File,
    /,
    *,
    output: Output,
    stop: int | None = None,
    stop_at_return: float | None = None,
    stop_at_reward: int | None = None,
    as_json: Json = False,
) -> None:
    """Keep the beginning of a demonstration.

    Args:
        file: The demonstration, or the name of one that comes with the library.
        output: The demonstration to write.
        stop: The step to stop at.
        stop_at_return: Stop where the return so far first reaches this.
        stop_at_reward: Stop right after this positive reward, 1 for the first.
        as_json: Print one JSON document instead.
    """
    ends = (stop, stop_at_return, stop_at_reward)
    if sum(end is not None for end in ends) != 1:
        raise InvalidArgumentError(
            "Give one of --stop, --stop-at-return and --stop-at-reward, which say where it ends."
        )
    whole = _demo_of(file)
    if stop is not None:
        check_option("--stop", stop, -len(whole) + 1, len(whole))
        if stop == 0:
            raise InvalidArgumentError("--stop is 0, which keeps nothing; give a step from 1 on.")
    if stop_at_reward is not None:
        check_option("--stop-at-reward", stop_at_reward, 1, int((whole.rewards > 0).sum()))
    prepare_demo_output(output)
    demo = whole.slice(stop=stop, stop_at_return=stop_at_return, stop_at_reward=stop_at_reward)
    _save(demo, output, as_json)


def _demo_of(file: Path) -> Demo:
    """The demonstration that a user named, or what to do with a file of another kind."""
    if file.suffix in (".demo", ".journal"):
        kind = "an OpenAI *.demo file" if file.suffix == ".demo" else "the journal of a recording"
        out = file.with_suffix(".npz") if file.suffix == ".demo" else file.with_suffix("")
        raise DemoError(
            f"{file} is {kind}. Make a demonstration of it first: hxw demo import {file} -o {out}"
        )
    return Demo.load(demo_path(file))


def _save(demo: Demo, path: Path, as_json: bool) -> None:
    demo.save(path)
    if as_json:
        print(json.dumps({"file": str(path), "steps": len(demo), "score": demo.score}))
    else:
        print(f"{path}: {len(demo)} steps, score {demo.score:g}")


def _loaded(files: tuple[Path, ...], progress: Progress) -> Iterator[Demo]:
    for done, file in enumerate(files):
        progress(done)
        yield _demo_of(file)


def _demos_of(source: str, snapshot_every: int) -> list[Demo]:
    if source.endswith(".journal"):
        from hxwrappers.demos import recover_demos  # noqa: PLC0415

        return recover_demos(source)
    if Path(source).exists():
        raise DemoError(
            f"{source} is neither an OpenAI *.demo file nor a *.journal; give one of these, or the "
            "id of a local Minari dataset."
        )
    from hxwrappers.demos import demos_from_minari  # noqa: PLC0415 - needs Minari

    with progress_bar("episode") as progress:
        return demos_from_minari(source, snapshot_every=snapshot_every, progress=progress)


def _facts(demo: Demo) -> dict[str, Any]:
    metadata = demo.metadata
    env = {key: value for key, value in metadata.env.items() if key != "spec"}
    return {
        "steps": len(demo),
        "score": demo.score,
        "ended": demo.ended,
        "rewards": int((demo.rewards != 0).sum()),
        "first_reward_at": demo.step_of_reward() if (demo.rewards > 0).any() else None,
        "snapshots": len(demo.snapshots),
        "snapshot_family": metadata.family,
        "seams": list(metadata.seams),
        "seed": metadata.seed,
        "environment": env,
        "made_by": metadata.made_by,
        "versions": metadata.versions,
    }


def _line(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items() if item is not None)
    return f"{value:g}" if isinstance(value, float) else str(value)
