"""Fuzz every kind of file that the library reads, each in a process of its own.

`python -m tests.fuzz --inputs 6000` gives each format so many inputs and prints what became of
them; a format of its own with `--formats demo journal`. With `--python`, an interpreter in which
atheris is installed, libFuzzer makes the inputs and is told which branches of the library they
took; otherwise they are made by mutation alone. Inputs that were handled wrongly are kept in
`--findings`. Exits with 1 if there are any.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.fuzz.engine import FORMATS

PATIENCE = 3600.0


def fuzz(
    name: str, inputs: int, findings: Path, *, seed: int = 0, python: str | None = None
) -> dict[str, Any]:
    """Fuzz one format and return the account of it.

    Raises:
        AssertionError: The process ended in any other way than by finishing.
    """
    findings.mkdir(parents=True, exist_ok=True)
    module = "tests.fuzz.engine" if python is None else "tests.fuzz.guided"
    with tempfile.TemporaryDirectory() as folder:
        words = [name, str(inputs), str(seed), folder, str(findings)]
        child = subprocess.run(
            [python or sys.executable, "-m", module, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
    lines = [line for line in child.stdout.splitlines() if line.startswith("{")]
    if child.returncode or not lines:
        if (findings / "latest").exists():
            (findings / "latest").rename(findings / f"{name}-end-of-process")
        raise AssertionError(f"{name} ended with {child.returncode}:\n{child.stderr[-3000:]}")
    (findings / "latest").unlink()
    account: dict[str, Any] = json.loads(lines[-1])
    return account


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=6000)
    parser.add_argument("--formats", nargs="*", default=list(FORMATS), choices=list(FORMATS))
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--python")
    options = parser.parse_args()
    wrong = 0
    for name in options.formats:
        try:
            account = fuzz(
                name, options.inputs, options.findings, seed=options.seed, python=options.python
            )
        except AssertionError as error:
            wrong += 1
            sys.stdout.write(f"{error}\n")
            continue
        wrong += sum(what.startswith("FINDING") for what in account["outcomes"])
        sys.stdout.write(json.dumps(account) + "\n")
        sys.stdout.flush()
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
