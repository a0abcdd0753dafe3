"""How a command ends where it cannot go on."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from chunkmeans.cli.failures import interruptible
from chunkmeans.errors import ChunkError, ClusterError, ConfigError, ResultError, SourceError

from tests.cli.runner import DONE, Runner
from tests.support.places import PYTHONPATH


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


@pytest.mark.parametrize(
    "args",
    [("run", "c.yaml"), ("segment", "a.tif", "-k", "2", "-o", "out")],
    ids=lambda args: args[0],
)
def test_a_run_that_overwrites_resumes_without_overwriting(call, args):
    result = call(*args, "--overwrite", runner=Runner([DONE], error=KeyboardInterrupt()))
    assert "is kept, the same command without --overwrite resumes" in result.stderr

    late = ResultError("s3://bucket: cannot be listed: late")
    late.__cause__ = TimeoutError("late")
    result = call(*args, "--overwrite", runner=Runner(error=late))
    assert "this may be temporary; the same command without --overwrite resumes" in result.stderr

    result = call(*args, "--overwrite", runner=Runner(error=ClusterError("no worker is left")))
    assert result.exit_code == 3
    assert "give the same command without --overwrite" in result.stderr

    result = call(*args, "--overwrite", runner=Runner(error=ConfigError("wrong")))
    assert result.stderr == "error: wrong\n"


def test_a_full_disk_is_no_bug(call):
    error = OSError(28, "No space left on device", "out/run.json")
    result = call("run", "c.yaml", runner=Runner(error=error))
    assert result.exit_code == 3
    assert result.stderr.startswith("error: cannot be read or written: [Errno 28] No space left")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("kind", [ConfigError, ResultError, SourceError])
def test_what_may_pass_is_no_fault_of_the_command(call, kind):
    error = kind("s3://bucket: cannot be listed: late")
    error.__cause__ = TimeoutError("late")
    result = call("run", "c.yaml", runner=Runner(error=error))
    assert result.exit_code == 3
    assert "this may be temporary; the same command resumes" in result.stderr


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


@pytest.mark.usefixtures("foreground")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_ends_the_program_as_ctrl_c_does(here, number):
    code = (
        "import sys, time, types\n"
        "module = types.ModuleType('chunkmeans.api')\n"
        "def run(config, **options):\n"
        "    print('ready', file=sys.stderr, flush=True)\n"
        "    time.sleep(60)\n"
        "module.run = run\n"
        "sys.modules['chunkmeans.api'] = module\n"
        "from chunkmeans.cli import main\n"
        "sys.argv = ['chunkmeans', 'run', 'c.yaml']\n"
        "main()\n"
    )
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r})\n{code}"],
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr.readline() == "ready\n"
        process.send_signal(number)
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


@pytest.mark.usefixtures("foreground")
def test_a_request_to_end_does_not_disturb_the_end(here):
    """The second one comes while the first is obeyed."""

    def asked_twice():
        with interruptible():
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        asked_twice()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.usefixtures("foreground")
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_second_ctrl_c_ends_at_once(here, overwrite):
    code = (
        "import signal, time\n"
        "from chunkmeans.cli.failures import interruptible\n"
        f"with interruptible(overwrite={overwrite}):\n"
        "    try:\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "    finally:\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "        time.sleep(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
    )  # fmt: skip
    assert done.returncode == 130
    assert done.stderr.split("\n")[1::2] == [
        "stopping; Ctrl-C again ends at once",
        f"ended at once; the same command{' without --overwrite' * overwrite} resumes",
    ]


def test_what_the_caller_ignores_stays_ignored(here):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with interruptible():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_leaves_signals_alone(here):
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: interruptible().__enter__()).result() is None
