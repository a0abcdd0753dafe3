"""The notebooks: committed without outputs, and whole when they are executed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from chunkmeans import make_config, run
from PIL import Image

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
EXPLORE = next(path for path in NOTEBOOKS if path.name == "explore_results.ipynb")
FIGURES = {"gallery", "closely", "palette", "strips", "fit", "compare"}

# In a process of its own, so that what Jupyter does to event loops, and warns of, stays there.
EXECUTE = """
import sys
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

notebook = nbformat.read(sys.argv[1], as_version=4)
where = {"metadata": {"path": sys.argv[2]}}
try:
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=where).execute()
except CellExecutionError:
    pass  # the cell's output holds it
nbformat.write(notebook, sys.argv[3])
"""


def execute(notebook, folder, **environment):
    """Return the executed notebook's cells by id; its kernel is this Python, in `folder`."""
    kernel = folder / "jupyter" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    # Jupyter looks for kernels in the user's home too: one of that name may be another Python
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": argv, "display_name": "here", "language": "python"}))
    executed = folder / "executed.ipynb"
    inherited = {k: v for k, v in os.environ.items() if k not in ("MPLBACKEND", "PYTHONWARNINGS")}
    own = {"JUPYTER_PATH": str(folder / "jupyter"), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, str(notebook), str(folder), str(executed)],
        env=inherited | own | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    cells = json.loads(executed.read_text(encoding="utf-8"))["cells"]
    return {cell["id"]: cell.get("outputs", []) for cell in cells}


def text(outputs):
    """Return what a cell printed, showed or raised."""
    found = []
    for output in outputs:
        data = output.get("data", {})
        found += output.get("text", []), data.get("text/html", []), data.get("text/markdown", [])
        found += [output.get("ename", ""), ": ", output.get("evalue", "")]
    return "".join("".join(part) for part in found)


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    """Return the notebook executed on a small run, and the picture it saved."""
    folder = tmp_path_factory.mktemp("explored")
    pictures = ["package://skimage/data/coffee.png", "package://skimage/data/coins.png"]
    run(
        make_config(
            images={"path": pictures},
            kmeans={"k": 3},
            results={"path": str(folder / "results")},
            cluster="serial",
        )
    )
    picture = folder / "picture.png"
    cells = execute(
        EXPLORE,
        folder,
        CHUNKMEANS_RESULTS="results",
        CHUNKMEANS_EDGE="150",
        CHUNKMEANS_PICTURE=str(picture),
    )
    return cells, picture


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_committed_without_outputs(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        assert cell["metadata"] == {}
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None), cell["id"]
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}


def test_the_notebook_runs_to_its_end_without_error_or_warning(explored):
    cells, _ = explored
    for name, outputs in cells.items():
        assert all(output["output_type"] != "error" for output in outputs), text(outputs)
        assert "Warning" not in text(outputs), name


def test_the_notebook_draws_every_figure(explored):
    cells, _ = explored
    drawn = {
        name
        for name, outputs in cells.items()
        if any("image/png" in output.get("data", {}) for output in outputs)
    }
    assert drawn == FIGURES


def test_the_notebook_tells_of_the_run_and_of_each_image(explored):
    cells, _ = explored
    assert "356,352 pixels" in text(cells["open"])  # 600 x 400 + 384 x 303
    assert "<td>coffee</td><td>done</td><td>400 x 600</td>" in text(cells["catalogue"])
    assert "<td>coins</td><td>done</td><td>303 x 384</td>" in text(cells["catalogue"])
    assert "counted      the same, and 0 pixels without data" in text(cells["arrays"])


def test_the_notebook_saves_a_small_picture_where_it_is_asked_for(explored):
    _, picture = explored
    with Image.open(picture) as image:
        assert image.format == "PNG"
        assert image.width == 1200
    assert picture.stat().st_size < 400_000


def test_the_notebook_says_how_to_make_the_results_that_are_not_there(tmp_path):
    cells = execute(EXPLORE, tmp_path, CHUNKMEANS_RESULTS="nowhere")
    assert text(cells["open"]) == (
        "ResultError: nowhere: does not exist; make it by: chunkmeans run configs/quickstart.yaml"
    )
