"""The snippets of README and docs run, and the commands in them are those that CI runs."""

import re
import shlex
from pathlib import Path

import pytest

from hxwrappers.cli import main
from hxwrappers.cli.app import GROUPS

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
LONG_SNIPPETS = {  # some seconds each
    *("demo-curriculum.md-2", "index.md-0", "novelty.md-0", "novelty.md-1", "novelty.md-2"),
    *("novelty.md-3", "order-of-wrappers.md-2", "resume-and-evaluate.md-0"),
    *("several-wrappers.md-0", "start.md-0"),
}
SNIPPETS = [
    pytest.param(
        snippet,
        id=(name := f"{path.name}-{number}"),
        marks=pytest.mark.slow if name in LONG_SNIPPETS else (),
    )
    for path in DOCUMENTS
    for number, snippet in enumerate(re.findall(r"```python\n(.*?)```", path.read_text(), re.S))
]
OPTION = re.compile(r"--[a-z][a-z-]*")
OPTIONS: dict[tuple[str, ...], set[str]] = {}
"""What the help of a command names; asking for it takes a while."""


def test_long_snippets_are_there():
    assert {snippet.id for snippet in SNIPPETS} >= LONG_SNIPPETS


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_snippets_run(snippet, tmp_path, monkeypatch):
    pytest.importorskip("stable_baselines3")
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, "snippet", "exec"), {})  # noqa: S102


def commands(path):
    """The calls of `hxw` in a document, continued lines joined, without comments."""
    for block in re.findall(r"```(?:sh)?\n(.*?)```", path.read_text(), re.S):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.search(r"(?:^|&& |=\S+ )hxw (.*)", line)
            if found:
                yield shlex.split(found[1].split(" > ")[0], comments=True)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_commands_have_the_options_that_documents_give_them(path, capsys):
    for words in commands(path):
        group = GROUPS.get(words[0])
        if group is None:
            assert words[0].startswith("-"), words
            continue
        command = words[:2] if group.commands else words[:1]
        assert not group.commands or command[1] in group.commands, words
        if tuple(command) not in OPTIONS:
            assert main([*command, "--help"]) == 0
            OPTIONS[tuple(command)] = set(OPTION.findall(capsys.readouterr().out)) | {"--debug"}
        for option in words[len(command) :]:
            if option.startswith("--"):
                assert option.split("=")[0] in OPTIONS[tuple(command)], (
                    f"{path.name}: {shlex.join(words)}"
                )


def test_readme_commands_are_those_of_ci():
    readme, ci = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    makefile = (ROOT / "Makefile").read_text()
    install = 'pip install -c constraints.txt -e ".[dev]"'
    assert f"{install} && python -m pytest -n 2" in readme
    assert install in ci
    run = {goal for words in re.findall(r"^make ([\w -]+)", ci, re.M) for goal in words.split()}
    (check,) = re.findall(r"^check: (.+)$", makefile, re.M)
    assert run == {*check.split(), "test-slow", "docs"}
    assert "\ntest:\n\t$(PYTHON) -m pytest -n 2\n" in makefile


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_to_files_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} links to {target}"
