"""Kill runs by hand: `python -m tests.kills impala search --kills 50`."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.kills.killing import kill_again_and_again
from tests.kills.targets import TARGETS

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for name in options.targets:
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            deaths = kill_again_and_again(name, Path(folder), options.kills, options.seed)
        sys.stdout.write(f"{name}: {deaths}, {time.perf_counter() - began:.0f} s\n")
        sys.stdout.flush()
