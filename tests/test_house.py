"""Rules of the house that import-linter has no contract for; see docs/architecture.md."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATHS = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "hxwrappers").rglob("*.py"))
}
PACKAGES = {name for name, path in PATHS.items() if path.name == "__init__.py"}
TREES = {name: ast.parse(path.read_text()) for name, path in PATHS.items()}
NOT_FOR_USERS = {"hxwrappers.cli", "hxwrappers.wrappers"}
"""The command, and the wrappers, which have their page under the name that users import."""


def imports(tree):
    """The modules that a tree imports, wherever the statement stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in PATHS else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def public_names(package):
    """What a package's `__all__` lists."""
    for node in TREES[package].body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def package_of(module):
    return module if module in PACKAGES else module.rpartition(".")[0]


@pytest.mark.parametrize("name", PATHS)
def test_private_modules_are_imported_by_their_own_package_alone(name):
    for imported in imports(TREES[name]):
        parts = imported.split(".")
        for number, part in enumerate(parts):
            owner = ".".join(parts[:number])
            if part.startswith("_") and owner in PACKAGES:
                assert f"{name}.".startswith(f"{owner}."), f"{name} imports {imported}"


@pytest.mark.parametrize("name", sorted(set(PATHS) - PACKAGES))
def test_what_is_public_stands_in_packages_alone(name):
    names = [node for node in TREES[name].body if isinstance(node, ast.Assign)]
    assert "__all__" not in {ast.unparse(node.targets[0]) for node in names}


def test_the_architecture_names_every_package():
    text = (ROOT / "docs" / "architecture.md").read_text()
    for package in PACKAGES - {"hxwrappers"}:
        assert f"`{package.removeprefix('hxwrappers.')}`" in text, package


def test_api_pages_show_what_is_public_and_nothing_else():
    pages = (ROOT / "docs" / "api").glob("*.md")
    shown = {name for page in pages for name in re.findall(r"automodule:: (\S+)", page.read_text())}
    public = {package for package in PACKAGES if public_names(package)} - NOT_FOR_USERS
    assert shown == public | {"hxwrappers.errors"}


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (r"\bSeedSequence\(", "files/generators.py"),
        (r"\.Process\(", "_utils/processes.py"),
        (r"aliases=\[\"-o\"\]", "cli/terminal.py cli/demo_record.py"),
    ],
)
def test_one_way_to_do_each_thing(words, place):
    found = {path for path in PATHS.values() if re.search(words, path.read_text())}
    assert found == {ROOT / "hxwrappers" / name for name in place.split()}


def test_first_lines_say_what_is_inside():
    first = re.compile(r"(What|Where|Who|How|Which|Whether|Takes|Finds|Tells|Telling|From)\b")
    for name, tree in TREES.items():
        assert not first.match(ast.get_docstring(tree) or ""), name


def test_files_are_as_short_as_the_page_says():
    page = (ROOT / "docs/architecture.md").read_text()
    (most,) = map(int, re.findall(r"One idea a file, (\d+) lines at most", page))
    for path in (ROOT / "hxwrappers").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= most, path
