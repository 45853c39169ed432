"""What is built from the checkout: nothing stray, nothing missing, and it runs without extras."""

import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOT_SHIPPED = re.compile(r"\.ci/|\.github/|\.pre-commit-config\.yaml$")
SHIPPED_FOR_USERS = ("py.typed", "demos/data/montezuma-first-key.npz", "recorder/page/index.html")


def run(*command, cwd=ROOT, **kwargs):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tracked():
    """The files that git knows of."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    return set(run("git", "ls-files").splitlines())


@pytest.fixture(scope="module")
def built(tmp_path_factory, tracked):
    """An archive of the sources and a wheel, from a copy of what git knows of."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("package")
    copy = folder / "checkout"
    for name in tracked:
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-m", "hatchling", "build", "-d", str(folder / "dist"), cwd=copy)
    (sources,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    return sources, wheel


def test_the_wheel_holds_the_package_and_nothing_else(built, tracked):
    with zipfile.ZipFile(built[1]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        (entry,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
        assert "hxw = hxwrappers.cli:main" in wheel.read(entry).decode()
        assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())
    assert names == {name for name in tracked if name.startswith("hxwrappers/")}
    assert {f"hxwrappers/{name}" for name in SHIPPED_FOR_USERS} <= names


def test_the_sources_hold_what_git_tracks(built, tracked):
    with tarfile.open(built[0]) as sources:
        names = {member.name.partition("/")[2] for member in sources if member.isfile()}
    expected = {name for name in tracked if not NOT_SHIPPED.match(name)}
    assert names == expected | {"PKG-INFO"}


def test_what_is_cited_is_this_version():
    (version,) = re.findall(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.M)
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"version = {{{version}}}" in (ROOT / "docs" / "citing.md").read_text()


@pytest.mark.slow
def test_without_extras_nothing_breaks():
    command = [sys.executable, "-W", "error", "-m", "tests.bare", "--hide"]
    wanting = run(*command).splitlines()[-1]
    assert wanting == "without extras: hxwrappers.runs.event_log hxwrappers.sb3"


@pytest.mark.long
def test_the_wheel_in_an_environment_of_its_own(built, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    run(python, "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), str(built[1]))
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "tests").mkdir(parents=True)
    (elsewhere / "tests" / "bare.py").write_text((ROOT / "tests" / "bare.py").read_text())
    wanting = run(python, "-W", "error", "-m", "tests.bare", cwd=elsewhere).splitlines()[-1]
    assert wanting == "without extras: hxwrappers.runs.event_log hxwrappers.sb3"
    where = run(python, "-c", "import hxwrappers; print(hxwrappers.__file__)", cwd=elsewhere)
    assert Path(where).is_relative_to(tmp_path / "venv")
    installed = Path(where.strip()).parent
    assert all((installed / name).is_file() for name in SHIPPED_FOR_USERS)
    command = str(tmp_path / "venv" / "bin" / "hxw")
    assert run(command, "--version", cwd=elsewhere).startswith("hxwrappers ")
