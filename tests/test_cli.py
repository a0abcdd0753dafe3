"""The command line: what each command prints where, and how it ends."""

import io
import json
import signal
import subprocess
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner

from pipeline.cli.commands import app
from pipeline.cli.display import Bars, Lines, display
from pipeline.cli.quantities import binary, decimal, duration, short
from pipeline.cli.tally import MOST_PROBLEMS, Tally
from pipeline.errors import ChunkError, ClusterError, ConfigError, ResultError, SourceError
from pipeline.events import (
    Advanced,
    ImageFinished,
    Iterated,
    Note,
    PhaseFinished,
    PhaseStarted,
    RunFinished,
    RunStarted,
)

CONFIG = "images: {path: scans/}\nkmeans: {k: 4}\nresults: {path: out}\n"


@dataclass(frozen=True)
class Record:
    """As much of a run's record as the command line looks at."""

    state: str
    counts: dict[str, int]


@dataclass(frozen=True)
class PlannedImage:
    id: str
    path: str
    axes: str
    shape: tuple[int, ...]
    channels: int
    dtype: str
    chunks: int
    nbytes: int
    problem: str = ""


@dataclass(frozen=True)
class Plan:
    images: tuple[PlannedImage, ...]
    engine: str = "local"
    workers: int = 2
    threads: int = 2
    need: int = 3 * 2**20
    bound: int = 2**30
    driver_need: int = 2**20
    tasks: int = 7
    nbytes: int = 6_000_000
    problems: tuple[str, ...] = ()


class Runner:
    """Stands in for `pipeline.api`: does nothing, and tells what it was asked."""

    def __init__(self, events=(), counts=None, plan=None, error=None):
        self.events, self.error = events, error
        self.counts = counts or {"done": 1, "warned": 0, "failed": 0, "skipped": 0}
        self.planned = plan
        self.config = self.overwrite = None

    def run(self, config, *, overwrite=False, watch):
        self.config, self.overwrite = config, overwrite
        for event in self.events:
            watch(event)
        if self.error is not None:
            raise self.error
        return Record("finished", self.counts)

    def plan(self, config):
        self.config = config
        if self.error is not None:
            raise self.error
        return self.planned


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def call(here, monkeypatch):
    """Call the program with a runner in place of the real one."""

    def call(*args, runner=None):
        if runner is not None:
            module = types.ModuleType("pipeline.api")
            module.run, module.plan = runner.run, runner.plan
            monkeypatch.setitem(sys.modules, "pipeline.api", module)
        return CliRunner().invoke(app, list(args), prog_name="chunkmeans")

    return call


FAILED = ImageFinished("a", "failed", "a.tif: cannot be opened: [red]not[/red] a TIFF file", 0.1)
WARNED = ImageFinished("b", "warned", "not converged within 3 iterations", 0.1)
DONE = ImageFinished("c", "done", "", 0.5)


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


# -- how a command ends -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("c.yaml:1:1: images: wrong"), 2),
        (ResultError("out: holds results of other settings: kmeans.k: 4 -> 8"), 2),
        (ClusterError("no worker came within 15 minutes"), 3),
        (SourceError("a.tif: is empty"), 1),
        (ChunkError("a.tif: chunk [0:4, 0:4] failed"), 1),
    ],
)
def test_an_error_is_one_line_on_stderr_and_its_exit_code(call, error, code):
    result = call("run", "c.yaml", runner=Runner(error=error))
    assert result.exit_code == code
    assert result.stderr == f"error: {error}\n"
    assert result.stdout == ""


def test_several_errors_are_a_line_each(call):
    Path("c.yaml").write_text("kmeans: {k: 0}\n")
    result = call("validate", "c.yaml")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "error: 3 things are wrong",
        "c.yaml:1:1: images.path: is missing; it has no default",
        "c.yaml:1:1: results.path: is missing; it has no default",
        "c.yaml:1:10: kmeans.k: must be at least 1, found 0",
    ]


def test_an_interrupted_run_says_that_the_same_command_resumes(call):
    result = call("run", "c.yaml", runner=Runner([DONE], error=KeyboardInterrupt()))
    assert result.exit_code == 130
    assert "interrupted; what is finished is kept, the same command resumes" in result.stderr
    assert result.stdout == ""


def test_a_full_disk_is_no_bug(call):
    error = OSError(28, "No space left on device", "out/run.json")
    result = call("run", "c.yaml", runner=Runner(error=error))
    assert result.exit_code == 3
    assert result.stderr.startswith("error: cannot be read or written: [Errno 28] No space left")
    assert "Traceback" not in result.stderr


def test_an_unexpected_error_is_called_a_bug_and_shows_where(call):
    result = call("run", "c.yaml", runner=Runner(error=ZeroDivisionError("division by zero")))
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert "error: unexpected ZeroDivisionError: division by zero" in result.stderr
    assert "This is a bug in chunkmeans" in result.stderr


@pytest.mark.parametrize(
    "args",
    [
        ("segmnt",),
        ("run",),
        ("run", "c.yaml", "--nope"),
        ("segment", "a.tif", "-o", "out"),
        ("segment", "a.tif", "-k", "four", "-o", "out"),
        ("run", "gone.yaml"),
        ("run", "c.yaml", "--set", "kmeans.kk=4"),
    ],
)
def test_a_wrong_command_line_exits_with_2(call, args):
    result = call(*args, runner=Runner())
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr


def test_ctrl_c_ends_the_program_with_130(here):
    code = (
        "import sys, time, types\n"
        "module = types.ModuleType('pipeline.api')\n"
        "def run(config, *, overwrite, watch):\n"
        "    print('ready', file=sys.stderr, flush=True)\n"
        "    time.sleep(60)\n"
        "module.run = run\n"
        "sys.modules['pipeline.api'] = module\n"
        "from pipeline.cli import main\n"
        "sys.argv = ['chunkmeans', 'run', 'c.yaml']\n"
        "main()\n"
    )
    root = Path(__file__).parent.parent
    process = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r})\n{code}"],
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert "the same command resumes" in process.stderr.read()
    assert process.returncode == 130


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ResultError("out: holds results of other settings"), 2, "out: holds results of other s"),
        (ClusterError("no worker came\nin 15 minutes"), 3, "no worker came\nin 15 minutes"),
        (OSError(28, "No space left on device"), 3, "cannot be read or written: [Errno 28] No"),
        (ZeroDivisionError("by zero"), 1, "unexpected ZeroDivisionError: by zero"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
@pytest.mark.parametrize(
    "args",
    [("run", "c.yaml"), ("segment", "a.tif", "-k", "2", "-o", "out"), ("plan", "c.yaml")],
    ids=lambda args: args[0],
)
def test_an_error_is_a_json_document_where_a_program_reads(call, args, error, code, message):
    result = call(*args, "--json", runner=Runner(error=error))
    assert result.exit_code == code
    document = json.loads(result.stdout)
    assert document.keys() == {"error", "exit_code"}
    assert document["error"].startswith(message)
    assert document["exit_code"] == code
    assert result.stderr


@pytest.mark.parametrize(
    "args", [("inspect", "gone.tif"), ("status", "gone"), ("run", "gone.yaml")]
)
def test_what_is_not_there_is_an_error_as_json_too(call, args):
    result = call(*args, "--json")
    document = json.loads(result.stdout)
    assert args[1] in document["error"]
    assert document["exit_code"] == result.exit_code != 0


def test_an_error_as_json_keeps_the_secrets_of_urls(call):
    error = ResultError("s3://me:hunter2@bucket/out: holds results of other settings")
    result = call("run", "c.yaml", "--json", runner=Runner(error=error))
    assert "<hidden>@bucket" in json.loads(result.stdout)["error"]
    assert "hunter2" not in result.stdout


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
    from pipeline.results.catalog import Row, write_catalog
    from pipeline.results.record import RunRecord, write_record
    from pipeline.results.store import Store

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


def test_the_version_is_told(call):
    assert call("--version").stdout.startswith("chunkmeans ")


def test_help_needs_no_heavy_package():
    code = (
        "import sys\n"
        "from pipeline.cli import main\n"
        "sys.argv = ['chunkmeans', '--help']\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'numpy', 'numba', 'dask', 'distributed', 'zarr', 'tifffile', 'pydantic'}\n"
        "print(*heavy & set(sys.modules), file=sys.stderr)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "segment" in found.stdout
    assert found.stderr.strip() == ""


# -- the displays -----------------------------------------------------------------------------


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def lines_of(file):
    """Return what was written, without the time of day."""
    return [line.split(" ", 1)[1] for line in file.getvalue().splitlines()]


def test_a_batch_log_has_a_line_per_phase_in_ten_seconds_at_most(clock):
    file = io.StringIO()
    with Lines(Tally(clock), file) as watch:
        watch(PhaseStarted("read", "a", 100_000_000, 100))
        for _ in range(100):
            clock.now += 0.5
            watch(Advanced("read", "a", 1_000_000, 3_000_000))
        watch(PhaseFinished("read", "a", 50.0))
    assert lines_of(file) == [
        "read  a  20%  2.00 Mpx/s  6.00 MB/s  40 s left",
        "read  a  40%  2.00 Mpx/s  6.00 MB/s  30 s left",
        "read  a  60%  2.00 Mpx/s  6.00 MB/s  20 s left",
        "read  a  80%  2.00 Mpx/s  6.00 MB/s  10 s left",
        "read  a  100%  2.00 Mpx/s  6.00 MB/s",
        "read  a  100 Mpx  2.00 Mpx/s  50 s",
    ]


@pytest.mark.parametrize("passes", [True, False], ids=["over the pixels", "on the table"])
def test_a_batch_log_sums_up_the_iterations(clock, passes):
    file = io.StringIO()
    with Lines(Tally(clock), file) as watch:
        for index in range(1, 41):
            if passes:
                watch(PhaseStarted("iterate", "a", 100, 1))
                watch(Advanced("iterate", "a", 100, 100))
            clock.now += 0.3
            if passes:
                watch(PhaseFinished("iterate", "a", 0.3))
            watch(Iterated("a", 0, index, 1 / index, 1000.0))
        watch(PhaseStarted("label", "a", 100, 1))
    lines = [line for line in lines_of(file) if line.startswith("k-means")]
    assert len(lines) == 2
    assert lines[1].startswith("k-means  a  iteration 40  E 0.025  inertia 1000  1")
    assert len(lines_of(file)) <= 3


def test_a_batch_log_of_a_database_counts_images_and_names_only_the_bad_ones(clock):
    file = io.StringIO()
    with Lines(Tally(clock), file) as watch:
        watch(RunStarted(1200, 1000))
        watch(PhaseStarted("images", "collection", 1_000_000, 1000))
        for n in range(1000):
            clock.now += 0.05
            watch(Advanced("images", "collection", 1000, 1000))
            state = "failed" if n % 10 == 3 else "done"
            watch(ImageFinished(f"i{n}", state, "broken" if state == "failed" else "", 0.05))
        watch(PhaseFinished("images", "collection", 50.0))
    lines = lines_of(file)
    assert lines[0] == "1,200 images, 200 of them done before"
    assert [line for line in lines if line.startswith("done")] == []
    assert sum("broken" in line for line in lines) == MOST_PROBLEMS
    assert "more such images are told in the catalogue only" in lines
    assert "images  200/1,000  20.0 kpx/s  20.0 kB/s  40 s left" in lines
    assert len(lines) < 30


def test_one_image_alone_is_not_counted(clock):
    file = io.StringIO()
    with Lines(Tally(clock), file) as watch:
        watch(PhaseStarted("images", "collection", 0, 1))
        watch(Advanced("images", "collection", 10, 10))
        watch(PhaseFinished("images", "collection", 60.0))
    assert lines_of(file) == []


def test_many_short_phases_do_not_flood_a_batch_log(clock):
    file = io.StringIO()
    with Lines(Tally(clock), file) as watch:
        for n in range(1000):
            watch(PhaseStarted("read", f"i{n}", 10, 1))
            clock.now += 0.1
            watch(PhaseFinished("read", f"i{n}", 0.1))
    assert 5 <= len(lines_of(file)) <= 10


@pytest.mark.parametrize(
    ("images", "pending", "line"),
    [
        (1, 1, "1 image"),
        (6, 6, "6 images"),
        (6, 2, "6 images, 4 of them done before"),
        (6, 0, "6 images, all of them done before"),
    ],
)
def test_a_resumed_run_says_what_was_done_before(images, pending, line):
    file = io.StringIO()
    with Lines(Tally(), file) as watch:
        watch(RunStarted(images, pending))
    assert lines_of(file) == [line]


def test_notes_carry_their_level(clock):
    file = io.StringIO()
    with Lines(Tally(clock), file) as watch:
        watch(Note("dashboard at http://127.0.0.1:8787"))
        watch(Note("a worker was lost", "warning"))
    assert lines_of(file) == ["dashboard at http://127.0.0.1:8787", "warning: a worker was lost"]


EVENTS = [
    RunStarted(2, 2),
    PhaseStarted("images", "collection", 100, 2),
    PhaseStarted("read", "a[1]", 1000, 0),
    Advanced("read", "a[1]", 400, 400),
    Advanced("images", "collection", 50, 50),
    PhaseStarted("iterate", "a[1]", 0, 0),
    Iterated("a[1]", 1, 3, 0.5, 10.0),
    # of a phase that was never announced
    Advanced("label", "x", 1, 1),
    PhaseFinished("label", "x", 1.0),
]


def test_a_terminal_shows_bars_while_phases_run_and_lines_when_they_are_over():
    console = Console(file=io.StringIO(), force_terminal=True, width=120, height=40, no_color=True)
    with Bars(Tally(), console) as watch:
        for event in EVENTS:
            watch(event)
        watch.live.refresh()
        running = console.file.getvalue()
        for phase in ("read", "iterate"):
            watch(PhaseFinished(phase, "a[1]", 2.0))
        watch(ImageFinished("a[1]", "failed", "[bold]broken", 2.0))
    assert "a[1]" in running
    assert "40%" in running
    assert "1/2" in running
    assert "start 2  iteration 3  E 0.5  inertia 10" in running
    over = console.file.getvalue()[len(running) :]
    assert "read  a[1]  400 px  200 px/s  2.0 s" in over
    assert "k-means  a[1]  start 2  iteration 3  E 0.5  inertia 10" in over
    assert "failed a[1]: [bold]broken" in over


def test_no_bar_is_left_where_a_run_was_cut_off():
    console = Console(file=io.StringIO(), force_terminal=True, width=120, height=40)
    watch = Bars(Tally(), console)

    def interrupted():
        with watch:
            for event in EVENTS:
                watch(event)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert watch.bars.tasks == watch.fits.tasks == []
    assert not watch.live.is_started


@pytest.mark.parametrize("width", [80, 102, 160])
def test_a_row_fits_the_terminal(width):
    console = Console(
        file=io.StringIO(), force_terminal=True, width=width, height=40, no_color=True
    )
    clock = Clock()
    watch = Bars(Tally(clock), console)
    watch(PhaseStarted("read", "slides/2026/a/very/long/name.svs", 10**10, 100))
    clock.now = 90.0
    watch(Advanced("read", "slides/2026/a/very/long/name.svs", 6 * 10**9, 18 * 10**9))
    with console.capture() as capture:
        console.print(watch.bars)
    row = Text.from_ansi(capture.get()).plain.rstrip()
    assert "60%" in row
    assert "66.7 Mpx/s  200 MB/s" in row
    assert row.endswith("1 min 00 s left")
    assert "━" in row


def test_a_log_file_gets_lines_and_a_terminal_bars(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(display(Tally()), Lines)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(display(Tally()), Bars)


# -- numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, 1, 9.994, 999.4, 999.6, 9_995, 999_499, 999_500, 123e9, 5e17])
def test_a_decimal_number_is_right_to_three_digits(value):
    number, unit = decimal(value, "px").split()
    power = {"px": 1, "kpx": 1e3, "Mpx": 1e6, "Gpx": 1e9, "Tpx": 1e12, "Ppx": 1e15}[unit]
    assert float(number) * power == pytest.approx(value, rel=0.006, abs=0.5)
    assert len(number) <= 4


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (2**20 - 1, "1.0 MiB"),
        (2**50, "1024.0 TiB"),
    ],
)
def test_memory_is_told_in_powers_of_1024(nbytes, text):
    assert binary(nbytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599.7, "1 h 00 min"),
        (86_399, "1 d 00 h"),
    ],
)
def test_a_duration_carries_where_it_rounds(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize("width", range(3, 12))
def test_a_shortened_name_keeps_both_ends(width):
    text = short("abcdefghij", width)
    assert len(text) == min(width, 10)
    assert text[0] == "a"
    assert text[-1] == "j"
