"""The notebooks run from beginning to end. `python tests/docs/test_notebooks.py` runs them and saves what they show."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "notebooks").glob("*.ipynb"))


def execute(path, folder):
    """Run a notebook in an empty folder."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def test_there_are_notebooks():
    assert len(NOTEBOOKS) >= 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path, tmp_path):
    nbformat.validate(nbformat.read(path, as_version=4))
    shown = execute(path, tmp_path)
    kinds = [{part["output_type"] for part in cell.outputs} for cell in shown.cells if cell.cell_type == "code"]
    assert all(kind <= {"stream", "execute_result", "display_data"} for kind in kinds)
    # As many cells show something as when it was saved.
    saved = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [bool(kind) for kind in kinds] == [bool(cell.outputs) for cell in saved]


if __name__ == "__main__":
    import tempfile

    for path in NOTEBOOKS:
        with tempfile.TemporaryDirectory() as folder:
            notebook = execute(path, folder)
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)  # the times
            for output in cell.get("outputs", []):
                output.get("data", {}).pop("image/jpeg", None)  # the same as the PNG
        nbformat.write(notebook, path)
