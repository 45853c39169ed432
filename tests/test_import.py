"""What `import hxwrappers` brings along, and what it leaves alone."""

import subprocess
import sys

HEAVY = {"stable_baselines3", "sb3_contrib", "ray", "av", "matplotlib", "sklearn", "minari", "cv2"}
HEAVY |= {"pygame", "websockets"}


def test_no_optional_package_is_imported_with_the_package():
    command = "import sys, hxwrappers; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    assert not HEAVY & set(done.stdout.split())
