import os
import signal
import subprocess
import sys

import dask
import psutil
import pytest
from chunkmeans.engines.machine import cores, free_memory
from distributed import Client

from tests.engines import tasks
from tests.engines.refused import assert_refused
from tests.support.engines import open_engine
from tests.support.places import PYTHONPATH

GIB = 2**30

SCRIPT = """
from chunkmeans.config import Cluster
from chunkmeans.engines import open_engine
def square(number):
    return number * number
options = {"n_workers": 1, "threads_per_worker": 1}
with open_engine(Cluster(options=options), memory=2**31) as engine:
    print(sum(o.unwrap() for o in engine.map(square, range(5), name="square")))
"""


def family():
    """This process and all below it."""
    me = psutil.Process()
    return [me, *me.children(recursive=True)]


def listening():
    """Addresses on which this process and those below it listen."""
    return {
        connection.laddr
        for process in family()
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }


def processes():
    """Worker processes below this one; Python's own tracker of resources is none."""
    return [p.pid for p in family()[1:] if "spawn_main" in " ".join(p.cmdline())]


@pytest.mark.parametrize("in_processes", [True, False])
def test_everything_listens_on_loopback_only(in_processes):
    before = listening()
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": in_processes}
    with open_engine("local", options, memory=4 * GIB):
        opened = listening() - before
        assert len(opened) >= 2
        assert {address.ip for address in opened} == {"127.0.0.1"}
    assert listening() <= before


def test_memory_is_shared_with_the_workers_and_closing_leaves_no_process_and_no_setting_behind():
    before = set(processes())
    settings = dask.config.get("distributed.comm.retry.count")
    engine = open_engine("local", {"n_workers": 2, "threads_per_worker": 1}, memory=3 * GIB)
    started = set(processes()) - before
    assert len(started) == 2
    assert (engine.workers, engine.threads, engine.memory) == (2, 2, GIB)
    assert dask.config.get("distributed.comm.retry.count") == 3
    engine.close()
    engine.close()
    assert not set(processes()) & started
    assert dask.config.get("distributed.comm.retry.count") == settings


def test_settings_hold_until_the_last_engine_closes():
    settings = dask.config.get("distributed.scheduler.worker-ttl")
    options = {"processes": False, "threads_per_worker": 1}
    first, second = open_engine("local", options), open_engine("local", options)
    first.close()
    assert dask.config.get("distributed.scheduler.worker-ttl") == "30 minutes"
    second.close()
    assert dask.config.get("distributed.scheduler.worker-ttl") == settings


def test_it_is_not_the_users_default_client():
    options = {"processes": False, "threads_per_worker": 1}
    with open_engine("local", options), pytest.raises(ValueError, match="No clients found"):
        Client.current()


def test_closing_in_the_middle_of_the_work_does_not_wait_for_its_end():
    engine = open_engine("local", {"n_workers": 1, "threads_per_worker": 1}, memory=2 * GIB)
    outcomes = engine.map(tasks.endless_after_five, range(1000), name="endless")
    next(outcomes)
    outcomes.close()
    engine.close()


def test_threads_in_this_process_have_all_the_memory():
    with open_engine("local", {"processes": False, "threads_per_worker": 1}, memory=GIB) as engine:
        assert (engine.workers, engine.threads, engine.memory) == (1, 1, GIB)


def test_too_little_memory_is_refused_with_both_numbers():
    assert_refused("local", {}, "memory: 500 MiB do not carry .* at 384 MiB each", memory=500 << 20)
    assert_refused(
        "local", {"n_workers": 8}, "memory: 2048 MiB do not carry 8 worker", memory=2 * GIB
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_workers": 0}, "cluster.options.n_workers: 0 is no count"),
        ({"threads_per_worker": "2"}, "cluster.options.threads_per_worker: '2' is no count"),
        ({"n_wrokers": 2}, r"cluster.options.n_wrokers: .*did you mean n_workers\?"),
        ({"security": True}, "cluster.options.security: .*; use cluster.security"),
        ({"memory_limit": "lots"}, "refuses them: Could not interpret 'lots'"),
        ({"asynchronous": True}, "cluster.options.asynchronous: kind local does not know it"),
    ],
)
def test_an_option_that_does_not_fit_is_refused_by_name(options, message):
    assert_refused("local", options, message)


def test_the_dashboard_has_an_address_only_where_it_can_be_shown():
    options = {"processes": False, "threads_per_worker": 1}
    with open_engine("local", options) as engine:
        assert engine.dashboard == "" or engine.dashboard.startswith("http://127.0.0.1:")


def test_a_machine_has_cores_and_memory():
    assert cores() >= 1
    assert 0 < free_memory() < psutil.virtual_memory().total


# -- scripts of users ---------------------------------------------------------------------------


def test_a_script_without_a_main_guard_runs_once_and_quietly(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-W", "error", script], env=environment(), capture_output=True,
        text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == ("30\n", "", 0)


def test_a_script_from_standard_input_runs_too():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-"], input=SCRIPT, env=environment(),
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == ("30\n", "", 0)


@pytest.mark.usefixtures("foreground")
def test_an_interrupt_ends_everything_with_one_traceback(tmp_path):
    script = tmp_path / "script.py"
    slow = "import time; print('on', flush=True); time.sleep(0.5); return"
    script.write_text(SCRIPT.replace("return", slow).replace("range(5)", "range(1000)"))
    process = subprocess.Popen(
        [sys.executable, script], env=environment(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout.readline() == "on\n"
    below = psutil.Process(process.pid).children(recursive=True)
    assert below
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode != 0
    assert errors.count("Traceback") == 1, errors
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert psutil.wait_procs(below, timeout=240)[1] == []


def environment():
    """The environment, in which scripts elsewhere find this package."""
    return {**os.environ, "PYTHONPATH": PYTHONPATH}
