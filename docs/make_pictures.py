"""Make the pictures of the documentation with the project's own commands.

python docs/make_pictures.py                        # all; training takes some hours on two cores
python docs/make_pictures.py montezuma_route        # one of them
python docs/make_pictures.py --list                 # what there is, and what each of them needs

What is trained or made on the way is kept in runs/pictures, and not made again where it is there.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"

PARTS = {
    "montezuma_cnd": "python examples/montezuma_cnd.py --features --folder {part}",
    **{
        f"cnd-{seed}": f"python examples/montezuma_cnd.py --seed {seed} --folder {{part}}"
        for seed in range(3)
    },
    "key_runs": "python -m tests.benchmarks.montezuma_key --folder {part}",
    **{
        f"video-{seed}.mp4": f"hxw video make --demo montezuma-first-room -o {{part}} --seed {seed}"
        for seed in range(4)
    },
    **{f"clip-{seed}": f"hxw video decode {{video-{seed}.mp4}} -o {{part}}" for seed in range(4)},
    "embedder.safetensors": "hxw video pretrain {clip-2} {clip-3} -o {part} --preset small",
}
"""What pictures are drawn from, and the command that makes it; {name} is another part."""

PICTURES = {
    "minigrid": "python -m tests.benchmarks.minigrid_learning --picture {picture}",
    "montezuma_key": "python -m tests.benchmarks.montezuma_key --folder {key_runs} "
    "--picture {picture}",
    "montezuma_cnd": "hxw plot {cnd-0} {cnd-1} {cnd-2} --only rewarded rooms -o {picture}",
    "montezuma_history": "hxw plot {montezuma_cnd} -o {picture}",
    "montezuma_features": "cp {montezuma_cnd}/features.png {picture}",
    "montezuma_bonus": "hxw plot montezuma-long --bonus {montezuma_cnd} -o {picture}",
    "montezuma_route": "hxw plot montezuma-long -o {picture}",
    "montezuma_frontier": "hxw plot {key_runs} -o {picture}",
    "uploads": "python -m tests.benchmarks.upload_gap --picture {picture}",
    "alignment": "hxw plot {clip-0} {clip-1} --embedders {embedder.safetensors} -o {picture}",
    "reward_replay": "hxw video reward {clip-0} {clip-1} {embedder.safetensors} --plot {picture}",
}
"""The pictures, and the command that draws each."""


@dataclass(frozen=True)
class Options:
    """Make the pictures of the documentation.

    Attributes:
        names: Which pictures; all unless given.
        list: Say what there is, and make nothing.
        parts: Where trained runs, clips and models are kept.
        images: Where the pictures go.
    """

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    list: bool = False
    parts: Path = ROOT / "runs" / "pictures"
    images: Path = IMAGES


def fill(command: str, options: Options, **more: Path) -> str:
    """A command with the paths of what it names, all of which is made first."""
    for name, making in PARTS.items():
        place = options.parts / name
        if f"{{{name}}}" in command:
            if not place.exists():
                run(fill(making, options, part=place))
            command = command.replace(f"{{{name}}}", shlex.quote(str(place)))
    for name, path in more.items():
        command = command.replace(f"{{{name}}}", shlex.quote(str(path)))
    return command


def run(command: str) -> None:
    """Run a command in the project's folder, with this Python and its `hxw`."""
    print(f"$ {command}", flush=True)
    words = shlex.split(command)
    hxw = [sys.executable, "-c", "import sys; from hxwrappers.cli import main; sys.exit(main())"]
    program = {"python": [sys.executable], "hxw": hxw}.get(words[0], words[:1])
    subprocess.run([*program, *words[1:]], cwd=ROOT, check=True)


def main() -> None:
    """Make what was asked for."""
    options = tyro.cli(Options)
    unknown = set(options.names) - set(PICTURES)
    if unknown:
        sys.exit(f"There are no pictures {', '.join(sorted(unknown))}; see --list.")
    for name in options.names or PICTURES:
        if options.list:
            print(f"{name:20}{PICTURES[name]}")
        else:
            run(fill(PICTURES[name], options, picture=options.images / f"{name}.png"))
    if options.list:
        print("\nparts")
        for name, making in PARTS.items():
            print(f"{name:20}{making}")


if __name__ == "__main__":
    main()
