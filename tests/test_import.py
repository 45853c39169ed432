"""What `import hxwrappers` brings along, and what it leaves alone."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import hxwrappers

HEAVY = {"stable_baselines3", "sb3_contrib", "ray", "av", "matplotlib", "sklearn", "minari", "cv2"}
HEAVY |= {"pygame", "websockets"}


def test_no_optional_package_is_imported_with_the_package():
    command = "import sys, hxwrappers; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    assert not HEAVY & set(done.stdout.split())


PACKAGES = ["hxwrappers"] + [
    f"hxwrappers.{found.name}" for found in pkgutil.iter_modules(hxwrappers.__path__) if found.ispkg
]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_is_there(name):
    package = importlib.import_module(name)
    try:
        found = {each: getattr(package, each) for each in getattr(package, "__all__", [])}
    except ImportError as error:
        pytest.skip(str(error))
    assert set(found) <= set(dir(package))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = package.nonsense


LIGHT = ["envs", "files", "impala", "recorder", "runs", "video", "wrappers"]


@pytest.mark.parametrize("name", LIGHT)
def test_a_package_brings_pytorch_only_when_it_is_asked_for_something(name):
    command = f"import sys, hxwrappers.{name}; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
