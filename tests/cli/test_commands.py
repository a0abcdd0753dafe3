"""What each command does, and what it prints where."""

import json
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import chunkmeans
import numpy as np
import pytest
from chunkmeans.cli.tally import MOST_PROBLEMS
from chunkmeans.events import ImageFinished, RunFinished, RunStarted

from tests.cli.runner import DONE, FAILED, WARNED, Plan, PlannedImage, Runner

# -- run and segment --------------------------------------------------------------------------


def test_a_run_without_failures_exits_with_0_and_says_what_to_do_next(call):
    result = call("run", "c.yaml", runner=Runner([RunStarted(1, 1), DONE]))
    assert result.exit_code == 0
    assert [line.split(maxsplit=1) for line in result.stdout.splitlines()] == [
        ["done", "1"],
        ["results", "out"],
        ["next", "chunkmeans status out"],
        ["napari", "out/images/c.ome.zarr   (with the plugin napari-ome-zarr)"],
    ]


def test_a_run_with_a_failed_image_exits_with_1_and_gives_the_reason_as_it_is(call):
    counts = {"done": 1, "warned": 1, "failed": 1, "skipped": 0}
    result = call("run", "c.yaml", runner=Runner([WARNED, FAILED, DONE], counts))
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    # failures first, though they came last
    assert lines[3] == "  failed  a: a.tif: cannot be opened: [red]not[/red] a TIFF file"
    assert lines[4] == "  warned  b: not converged within 3 iterations"


def test_at_most_twenty_reasons_are_told_and_the_rest_is_counted(call):
    events = [ImageFinished(f"i{n}", "failed", "broken", 0.1) for n in range(30)]
    result = call("run", "c.yaml", runner=Runner(events, {"done": 0, "failed": 30}))
    assert result.stdout.count("broken") == MOST_PROBLEMS == 20
    assert "and 10 more, in catalog.csv" in result.stdout


def test_a_long_reason_is_neither_cut_nor_wrapped_in_a_pipe(call):
    reason = "word " * 200
    event = ImageFinished("a", "failed", reason, 0.1)
    result = call("run", "c.yaml", runner=Runner([event], {"failed": 1}))
    assert f"a: {reason}" in result.stdout


def test_json_is_the_only_thing_on_stdout(call):
    runner = Runner(
        [RunStarted(2, 2), FAILED, DONE, RunFinished({}, 1.5)], {"done": 1, "failed": 1}
    )
    result = call("run", "c.yaml", "--json", runner=runner)
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "state": "finished",
        "counts": {"done": 1, "failed": 1},
        "results": "out",
        "seconds": 1.5,
        "problems": [{"id": "a", "state": "failed", "reason": FAILED.reason}],
    }


def test_options_reach_the_run(call):
    runner = Runner()
    args = ("--set", "kmeans.k=8", "--set", "memory=1GiB", "--cluster", "serial", "--overwrite")
    assert call("run", "c.yaml", *args, runner=runner).exit_code == 0
    assert runner.config.kmeans.k == 8
    assert runner.config.memory == 2**30
    assert runner.config.cluster.kind == "serial"
    assert runner.overwrite is True


@pytest.mark.parametrize("args", [("run", "c.yaml", "--retry-failed"), ("retry", "c.yaml")])
def test_what_failed_is_tried_again_on_demand(call, args):
    runner = Runner()
    assert call(*args, runner=runner).exit_code == 0
    assert (runner.retry_failed, runner.overwrite) == (True, False)
    call("run", "c.yaml", runner=runner)
    assert runner.retry_failed is False


@pytest.mark.parametrize("model", ["c.yaml", "out"])
def test_apply_takes_the_results_of_a_config_or_their_path(call, model):
    runner = Runner(counts={"done": 1, "failed": 1})
    args = ("apply", model, "a.tif", "b.tif", "-o", "new", "--group", "x", "--set", "memory=1GiB")
    result = call(*args, runner=runner)
    assert result.exit_code == 1
    found = runner.model if isinstance(runner.model, str) else runner.model.results.path
    assert (found, runner.images, runner.output) == ("out", ["a.tif", "b.tif"], "new")
    options = {k: v for k, v in runner.options.items() if k != "watch"}
    assert options == {
        "group": "x", "overrides": ["memory=1GiB"], "cluster": None, "overwrite": False,
        "retry_failed": False,
    }  # fmt: skip
    assert "next      chunkmeans status new\n" in result.stdout


def test_segment_needs_no_config(call):
    runner = Runner()
    args = ("segment", "a.tif", "b: c.tif", "-k", "3", "-o", "out", "--set", "kmeans.seed=7")
    assert call(*args, runner=runner).exit_code == 0
    assert runner.config.images.path == ("a.tif", "b: c.tif")
    assert runner.config.kmeans.k == 3
    assert runner.config.kmeans.seed == 7
    assert runner.config.results.path == "out"
    assert runner.overwrite is False


def test_segment_says_what_is_wrong_with_its_options(call):
    result = call("segment", "a.tif", "-k", "0", "-o", "out", runner=Runner())
    assert result.exit_code == 2
    assert result.stderr == "error: kmeans.k: must be at least 1, found 0\n"


# -- the other commands -----------------------------------------------------------------------


def test_validate_looks_at_the_config_alone(call):
    result = call("validate", "c.yaml", runner=Runner(error=AssertionError("ran")))
    assert (result.exit_code, result.stdout) == (0, "c.yaml: is valid\n")


def test_validate_as_json_lists_the_problems(call):
    result = call("validate", "c.yaml", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"valid": True, "problems": []}
    Path("c.yaml").write_text("images: {path: a}\nkmeans: {k: 0}\n")
    result = call("validate", "c.yaml", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout) == {
        "valid": False,
        "problems": [
            "c.yaml:1:1: results.path: is missing; it has no default",
            "c.yaml:2:10: kmeans.k: must be at least 1, found 0",
        ],
    }
    assert "2 things are wrong" in result.stderr


SLIDE = PlannedImage("slide", "s.tif", "yx", (9000, 8000), 3, "uint8", 25, 216_000_000)
BROKEN = PlannedImage("b", "b.tif", "", (), 0, "", 0, 0, "b.tif: cannot be opened: is empty")


def test_a_plan_shows_images_and_memory(call):
    result = call("plan", "c.yaml", runner=Runner(plan=Plan((SLIDE,))))
    assert result.exit_code == 0
    table, _, rest = result.stdout.partition("\n\n")
    assert table.splitlines()[1].split() == (
        ["slide", "yx", "9000", "x", "8000", "3", "uint8", "25", "216", "MB"]
    )
    assert "memory    each worker needs 3.0 MiB of 1.0 GiB, the driver 1.0 MiB\n" in rest
    assert "engine    local, 2 workers, 2 threads\n" in rest


def test_a_plan_says_where_nobody_knows_what_a_worker_has(call):
    known, assumed = (
        call("plan", "c.yaml", runner=Runner(plan=Plan((SLIDE,), assumed=assumed))).stdout
        for assumed in (False, True)
    )
    assert "a worker's memory is not known" not in known
    assert "a worker's memory is not known: assumed is what is free here; set `memory`\n" in assumed


def test_a_plan_with_a_broken_image_exits_with_1(call):
    result = call("plan", "c.yaml", runner=Runner(plan=Plan((SLIDE, BROKEN))))
    assert result.exit_code == 1
    assert "  failed  b: b.tif: cannot be opened: is empty\n" in result.stdout


def test_a_plan_that_would_be_refused_exits_with_2(call):
    plan = Plan((SLIDE,), problems=("memory: 3 GiB are needed, 1 GiB is allowed",))
    result = call("plan", "c.yaml", runner=Runner(plan=plan))
    assert result.exit_code == 2
    assert "problem   memory: 3 GiB are needed, 1 GiB is allowed\n" in result.stdout


def test_a_plan_of_many_images_lists_the_first_and_json_lists_all(call):
    images = tuple(
        PlannedImage(f"i{n:03}", f"{n}.tif", "yx", (8, 8), 1, "uint8", 1, 64) for n in range(50)
    )
    text = call("plan", "c.yaml", runner=Runner(plan=Plan(images))).stdout
    assert "i019" in text
    assert "i020" not in text
    assert "and 30 more; --json lists them all" in text
    document = json.loads(call("plan", "c.yaml", "--json", runner=Runner(plan=Plan(images))).stdout)
    assert [image["id"] for image in document["images"]] == [image.id for image in images]
    assert document["need"] == 3 * 2**20


@pytest.fixture
def results(here):
    """Results as a run leaves them, of one good and one broken image."""
    from chunkmeans.results.read.catalog import Row, write_catalog
    from chunkmeans.results.read.record import RunRecord, write_record
    from chunkmeans.results.store.store import Store

    store = Store(str(here / "out"))
    rows = [
        Row("a", "a.tif", "done", shape=(4, 5), k=2, inertia=1.5),
        Row("b", "b.tif", "failed", "b.tif: is empty"),
    ]
    write_catalog(store, rows)
    counts = {"done": 1, "warned": 0, "failed": 1, "skipped": 0}
    write_record(
        store,
        RunRecord(
            config={},
            settings={},
            fingerprint="f",
            state="finished",
            counts=counts,
            pixels=20,
            nbytes=60,
            seconds=75.0,
        ),
    )
    return "out"


def test_status_tells_the_counts_and_why_images_failed(call, results):
    result = call("status", results)
    assert result.exit_code == 0
    for line in ("state     finished", "done      1", "failed    1", "time      1 min 15 s"):
        assert f"{line}\n" in result.stdout
    assert "  failed  b: b.tif: is empty\n" in result.stdout


def test_status_as_json_has_every_row(call, results):
    document = json.loads(call("status", results, "--json").stdout)
    assert document["state"] == "finished"
    assert document["counts"]["failed"] == 1
    assert [(row["id"], row["state"]) for row in document["images"]] == [
        ("a", "done"),
        ("b", "failed"),
    ]


@pytest.fixture
def running(results):
    """Results of a run that is running, here and now, at its third image of five."""
    from chunkmeans.results.read.record import read_record, write_record
    from chunkmeans.results.store.lease import Lease
    from chunkmeans.results.store.store import Store

    store = Store(results)
    record = replace(
        read_record(store), state="running", images=5, pending=3, ended=2,
        problems=(("b", "b.tif: is empty"),),
    )  # fmt: skip
    write_record(store, record)
    doing = {
        "seconds": 6.0, "ended": 3, "phase": "images", "subject": "collection", "pixels": 0,
        "units": 5, "pixels_done": 0, "units_done": 3,
    }  # fmt: skip
    with Lease(store, lambda: doing) as lease:
        yield lease.mine


def test_images_of_earlier_runs_are_told_apart(call, results):
    from chunkmeans.results.read.record import read_record, write_record
    from chunkmeans.results.store.store import Store

    store = Store(results)
    write_record(store, replace(read_record(store), others=2))
    told = "earlier   2 images that this run does not name; last in catalog.csv"
    assert told in call("status", "out").stdout.splitlines()
    assert json.loads(call("status", "out", "--json").stdout)["others"] == 2


def test_status_of_a_run_that_goes_on_tells_how_far_it_is(call, running):
    lines = call("status", "out").stdout.splitlines()
    for line in (
        f"state     running: process {running.pid} on {running.host}, since {running.since}",
        "pending   2 of 5",
        "now       images  collection  60%",
        "rate      0.5 images/s",
        "left      4.0 s",
        "time      6.0 s",
        "  failed  b: b.tif: is empty",
    ):
        assert line in lines
    document = json.loads(call("status", "out", "--json").stdout)
    assert (document["state"], document["pending"], document["named"]) == ("running", 2, 5)
    assert (document["rate"], document["seconds_left"]) == (0.5, 4.0)
    assert document["last_failures"] == [{"id": "b", "reason": "b.tif: is empty"}]
    assert document["doing"]["phase"] == "images"


def test_status_of_a_run_that_was_killed_says_so_and_what_to_do(call, running):
    Path("out/lease.json").unlink()
    text = call("status", "out").stdout
    assert "state     killed; the same command resumes\n" in text
    assert "pending   3 of 5\n" in text
    assert "left" not in text
    assert json.loads(call("status", "out", "--json").stdout)["driver"] == ""


def test_status_of_a_run_that_has_no_catalogue_yet_is_no_error(call, results):
    Path("out/catalog.csv").unlink()
    result = call("status", results)
    assert result.exit_code == 0
    assert "state     finished\n" in result.stdout
    assert json.loads(call("status", results, "--json").stdout)["images"] == []


def test_status_of_a_folder_without_results_is_an_error(call):
    result = call("status", "nothing-here")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert "nothing-here" in result.stderr


@pytest.fixture
def labelled(results):
    """The same results, with the labels of the good image."""
    from chunkmeans.results.read.catalog import Row, write_catalog
    from chunkmeans.results.store.store import Store

    from tests.results.examples import finished, image_info, image_labels

    store = Store(results)
    finished(store, image_info((20, 30)), image_labels((20, 30)))
    rows = [
        Row("a", "a.tif", "done", store="images/a.ome.zarr"),
        Row("b", "b.tif", "failed", "b.tif: is empty"),
    ]
    write_catalog(store, rows)
    return results


@pytest.mark.parametrize("named", ["out", "c.yaml"])
def test_export_says_what_became_of_each_file(call, labelled, named):
    result = call("export", named, "-o", "files")
    assert (result.exit_code, result.stdout) == (0, "written   files/a.png\n")
    result = call("export", named, "a", "--to", "png", "-o", "files")
    there = "skipped   files/a.png: is there already; --overwrite writes it anew\n"
    assert (result.exit_code, result.stdout) == (0, there)
    result = call("export", named, "-o", "files", "--overwrite", "--json")
    assert json.loads(result.stdout) == {
        "files": [{"image": "a", "state": "written", "path": "files/a.png", "reason": ""}]
    }


def test_export_of_a_damaged_image_exits_with_1_and_says_why(call, labelled):
    Path("out/images/a.ome.zarr/0/c/0/0").unlink()
    result = call("export", labelled, "-o", "files")
    assert result.exit_code == 1
    assert result.stdout.startswith("failed    a: out/images/a.ome.zarr: 1 of 1 stored objects")


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (("out", "A"), "error: out: has no labels of an image 'A'; its ids are in catalog.csv\n"),
        (("out", "--to", "pgn"), "error: there is no exporter 'pgn'; did you mean png?\n"),
        (("gone",), "error: gone: does not exist\n"),
    ],
)
def test_export_of_what_is_not_there_exits_with_2(call, labelled, args, error):
    result = call("export", *args, "-o", "files")
    assert (result.exit_code, result.stderr, result.stdout) == (2, error, "")
    assert not Path("files").exists()


def test_inspect_tells_what_an_image_is(call):
    np.save("grey.npy", np.zeros((30, 40), np.uint16))
    text = call("inspect", "grey.npy").stdout
    for line in ("axes      yx", "shape     30 x 40   1.20 kpx", "channels  1", "nodata    none"):
        assert f"{line}\n" in text
    assert "uint16   2.40 kB decoded" in text
    document = json.loads(call("inspect", "grey.npy", "--json").stdout)
    assert (document["shape"], document["dtype"], document["nbytes"]) == ([30, 40], "uint16", 2400)


def test_inspect_of_what_is_no_image_exits_with_1_and_names_it(call):
    result = call("inspect", "gone.tif")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert "gone.tif" in result.stderr


def test_the_schema_is_json(call):
    document = json.loads(call("schema").stdout)
    assert "kmeans" in document["properties"]


def test_the_version_is_that_of_the_package(call):
    assert call("--version").stdout == f"chunkmeans {chunkmeans.__version__}\n"
    assert chunkmeans.__version__ == version("chunkmeans")


def test_help_needs_no_heavy_package():
    code = (
        "import sys\n"
        "from chunkmeans.cli import main\n"
        "sys.argv = ['chunkmeans', '--help']\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'numpy', 'numba', 'dask', 'distributed', 'zarr', 'tifffile', 'pydantic'}\n"
        "print(*heavy & set(sys.modules), file=sys.stderr)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "segment" in found.stdout
    assert found.stderr.strip() == ""
