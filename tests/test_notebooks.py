"""The notebooks run from their first cell to their last, and learn what they say."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "docs" / "notebooks"
LEARNING = {
    "novelty-bonus": {"45_000": "1024"},
    "search-to-curriculum": {"learn(40_000,": "learn(512,", "episodes=20": "episodes=2"},
}
"""What each says of how long it learns and plays, and what a quick test says instead."""


def read(path):
    for package in ("stable_baselines3", "matplotlib", "minigrid", "ipykernel"):
        pytest.importorskip(package)
    return pytest.importorskip("nbformat").read(path, as_version=4)


def test_each_notebook_has_a_length():
    assert LEARNING.keys() == {path.stem for path in FOLDER.glob("*.ipynb")}


@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
@pytest.mark.parametrize("name", LEARNING)
def test_their_code_runs(name, capsys):
    cells = read(FOLDER / f"{name}.ipynb").cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    for long, short in LEARNING[name].items():
        assert code.count(long) == 1
        code = code.replace(long, short)
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    plt.close("all")
    try:
        exec(compile(code, name, "exec"), {"__name__": name})  # noqa: S102
        assert len(plt.get_fignums()) == 1
    finally:
        plt.close("all")
    assert "%" in capsys.readouterr().out


# A kernel of its own warns in its own ways, and closes its sockets late.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", LEARNING)
def test_notebooks_run(name):
    nbclient = pytest.importorskip("nbclient")
    notebook = read(FOLDER / f"{name}.ipynb")
    nbclient.NotebookClient(notebook, timeout=800, kernel_name="python3").execute()
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 1
