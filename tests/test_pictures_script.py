"""The script that makes the pictures of the documentation."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def script(monkeypatch):
    path = ROOT / "docs" / "make_pictures.py"
    spec = importlib.util.spec_from_file_location("make_pictures", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "make_pictures", module)
    spec.loader.exec_module(module)
    return module


def test_parts_are_made_first_and_once(script, tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(script, "run", ran.append)
    options = script.Options(parts=tmp_path)
    (tmp_path / "clip-3").mkdir()
    (tmp_path / "video-2.mp4").touch()
    command = script.fill(script.PICTURES["alignment"], options, picture=Path("a.png"))
    assert command.startswith(f"hxw plot {tmp_path / 'clip-0'} {tmp_path / 'clip-1'} --embedders")
    made = [line.split(str(tmp_path) + "/")[-1].split()[0] for line in ran]
    assert "clip-3" not in " ".join(made)
    assert not any("--seed 2" in line for line in ran)
    assert ran[-1].startswith(f"hxw video pretrain {tmp_path / 'clip-2'} {tmp_path / 'clip-3'} -o")
    assert "{" not in " ".join([command, *ran])


def test_it_says_what_there_is(script, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["make_pictures.py", "--list"])
    script.main()
    out = capsys.readouterr().out
    assert "hxw plot montezuma-long -o {picture}" in out
    monkeypatch.setattr(sys, "argv", ["make_pictures.py", "nothing"])
    with pytest.raises(SystemExit, match="no pictures nothing"):
        script.main()
