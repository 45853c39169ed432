"""Find, record, look at, check, import, export, cut and render demonstrations."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import tyro
from tqdm import tqdm

import hxwrappers.envs  # noqa: F401 - registers the environments that the library brings
from hxwrappers.cli.demo_record import record
from hxwrappers.cli.demo_search import search
from hxwrappers.cli.demo_studio import studio
from hxwrappers.cli.plot import text_plot
from hxwrappers.demos.demo import Demo
from hxwrappers.demos.environment import make_environment
from hxwrappers.errors import DemoFileError, InvalidArgumentError

__all__ = ["COMMANDS"]

_Json = Annotated[bool, tyro.conf.arg(name="json"), tyro.conf.FlagCreatePairsOff]
_File = Annotated[Path, tyro.conf.Positional]


def info(file: _File, /, *, as_json: _Json = False, width: int = 60, height: int = 8) -> None:
    """Say what a demonstration is, with a plot of the return over its steps.

    Args:
        file: The demonstration.
        as_json: Print one JSON document instead.
        width: Columns of the plot.
        height: Rows of the plot.
    """
    demo = Demo.load(file)
    facts = _facts(demo)
    if as_json:
        print(json.dumps({"file": str(file), "bytes": file.stat().st_size, **facts}))
        return
    print(f"{file} ({file.stat().st_size:,} bytes)")
    for name, value in facts.items():
        if value not in (None, {}, []):
            print(f"  {name.replace('_', ' '):18}{_line(value)}")
    print("\nreturn over steps")
    print(text_plot(demo.returns(), width=width, height=height))


def verify(file: _File, /, *, as_json: _Json = False) -> int:
    """Replay a demonstration from every snapshot and compare; exit code 1 where it differs.

    Args:
        file: The demonstration.
        as_json: Print one JSON document instead.
    """
    demo = Demo.load(file)
    env = make_environment(demo)
    found = demo.verify(env)
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
    out: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    game: str | None = None,
    snapshot_every: int = 50,
) -> None:
    """Make demonstrations of a file of another kind; each is replayed to check it.

    Args:
        source: An OpenAI *.demo file, a recording's journal (*.journal), or the id of a local
            Minari dataset.
        out: The demonstration to write; for a journal or a dataset a folder.
        game: The ALE's name of the game, where a *.demo file does not tell it.
        snapshot_every: Steps between two snapshots.
    """
    if source.endswith(".demo"):
        from hxwrappers.demos.openai import import_openai_demo  # noqa: PLC0415 - needs ale-py

        with tqdm(unit="step", disable=None, leave=False) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            demo = import_openai_demo(
                source, game=game, snapshot_every=snapshot_every, progress=show
            )
        demo.save(out)
        print(f"{out}: {len(demo)} steps, score {demo.score:g}")
        return
    for index, demo in enumerate(_demos_of(source, snapshot_every)):
        path = out / f"{index:06d}.npz"
        demo.save(path)
        print(f"{path}: {len(demo)} steps, score {demo.score:g}")


def export(files: Annotated[tuple[Path, ...], tyro.conf.Positional], /, *, dataset: str) -> None:
    """Write demonstrations to a local Minari dataset.

    Args:
        files: The demonstrations, all of one environment.
        dataset: The id of the new dataset, for example montezuma/demos-v0.
    """
    from hxwrappers.demos.minari import demos_to_minari  # noqa: PLC0415 - needs Minari

    if not files:
        raise InvalidArgumentError("Give at least one demonstration to export.")
    env = make_environment(Demo.load(files[0]))
    written = demos_to_minari((Demo.load(file) for file in files), dataset, env)
    env.close()
    print(f"{dataset}: {written.total_episodes} episodes, {written.total_steps} steps")


def render(
    file: _File,
    video: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    start: int = 0,
    stop: int | None = None,
    every: int = 1,
    fps: float = 60.0,
) -> None:
    """Render a demonstration to an mp4 video.

    Args:
        file: The demonstration.
        video: The video to write.
        start: The step to begin at.
        stop: The step to stop at.
        every: Show every so many steps.
        fps: Frames per second.
    """
    from hxwrappers.demos.render import render_demo  # noqa: PLC0415 - needs PyAV

    demo = Demo.load(file)
    env = make_environment(demo, render_mode="rgb_array")
    with tqdm(unit="frame", disable=None, leave=False) as bar:
        count = render_demo(
            demo,
            env,
            video,
            start=start,
            stop=stop,
            every=every,
            fps=fps,
            progress=lambda done: bar.update(done - bar.n),
        )
    env.close()
    print(f"{video}: {count} frames")


def plot(file: _File, picture: Annotated[Path, tyro.conf.Positional], /) -> None:
    """Draw a demonstration's return over its steps and where it went.

    For Montezuma's Revenge the way is drawn on a map of the rooms; for other games there are the
    pictures at rewards.

    Args:
        file: The demonstration.
        picture: The picture to write, for example route.png.
    """
    from hxwrappers.demo_plots import plot_demo  # noqa: PLC0415 - needs matplotlib
    from hxwrappers.demos.route import follow  # noqa: PLC0415

    demo = Demo.load(file)
    env = make_environment(demo, render_mode="rgb_array")
    with tqdm(unit="step", total=len(demo), disable=None, leave=False) as bar:
        route = follow(demo, env, progress=lambda done: bar.update(done - bar.n))
    env.close()
    title = f"{demo.metadata.env['id']}: {len(demo):,} steps, score {demo.score:g}"
    plot_demo(demo, route, picture, title)
    print(f"{picture}: {title}")


def slice_(
    file: _File,
    out: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    stop: int | None = None,
    stop_at_return: float | None = None,
    stop_at_reward: int | None = None,
) -> None:
    """Keep the beginning of a demonstration.

    Args:
        file: The demonstration.
        out: The demonstration to write.
        stop: The step to stop at.
        stop_at_return: Stop where the return so far first reaches this.
        stop_at_reward: Stop right after this positive reward, 1 for the first.
    """
    demo = Demo.load(file).slice(
        stop=stop, stop_at_return=stop_at_return, stop_at_reward=stop_at_reward
    )
    demo.save(out)
    print(f"{out}: {len(demo)} steps, score {demo.score:g}")


def _demos_of(source: str, snapshot_every: int) -> list[Demo]:
    if source.endswith(".journal"):
        from hxwrappers.demos.journal import recover_demos  # noqa: PLC0415

        return recover_demos(source)
    if Path(source).exists():
        raise DemoFileError(
            f"{source} is neither an OpenAI *.demo file nor a *.journal; give one of these, or the "
            "id of a local Minari dataset."
        )
    from hxwrappers.demos.minari import demos_from_minari  # noqa: PLC0415 - needs Minari

    return demos_from_minari(source, snapshot_every=snapshot_every)


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


COMMANDS = {
    "info": info,
    "verify": verify,
    "import": import_,
    "export": export,
    "render": render,
    "slice": slice_,
    "plot": plot,
    "search": search,
    "record": record,
    "studio": studio,
}
