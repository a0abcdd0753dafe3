"""Workers are asked at the start whether they run the same chunkmeans, and for so long only."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import chunkmeans
import pytest
from chunkmeans.config import Cluster
from chunkmeans.config.models import Wait
from chunkmeans.engines import open_engine
from chunkmeans.engines.dask.same_code import _hash_of, code_version
from chunkmeans.errors import ClusterError
from distributed import Client, LocalCluster

LONG = 240
"""Seconds that only a hang can take."""


@pytest.fixture
def scheduler():
    with LocalCluster(
        n_workers=0, processes=False, dashboard_address="127.0.0.1:0", silence_logs=50,
        host="127.0.0.1", protocol="tcp",
    ) as cluster:  # fmt: skip
        yield cluster.scheduler_address


@contextmanager
def workers(address, *places, warm=False):
    """Start a worker per folder of sources, and yield their processes, in that order.

    Warm ones have answered once: what they answer then does not wait for their imports.
    """
    started = []
    try:
        with Client(address, set_as_default=False) as client:
            started.extend(_worker(address, place) for place in places)
            client.wait_for_workers(len(places), timeout=LONG)
            if warm:
                client.run(code_version)
        yield started
    finally:
        for process in started:
            process.send_signal(signal.SIGKILL)
            process.wait()


def _worker(address, place):
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny"]
    limits = ["--nthreads", "1", "--no-dashboard", "--memory-limit", "1GiB"]
    return subprocess.Popen(
        command + limits,
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def asked(address, timeout):
    return Cluster(
        kind="address", options={"address": address}, wait=Wait(workers=1, timeout=timeout)
    )


HERE = Path(chunkmeans.__file__).parents[1]


def test_a_worker_that_stands_still_is_passed_over_where_another_one_answers(scheduler):
    with workers(scheduler, HERE, HERE, warm=True) as (still, _):
        still.send_signal(signal.SIGSTOP)
        told = []
        with open_engine(asked(scheduler, 8), notify=told.append) as engine:
            assert engine.workers == 2
        assert len(told) == 1
        assert "passed over, silent for 8 seconds: worker tcp://127.0.0.1:" in told[0]


def test_workers_that_all_stand_still_are_an_error_in_time(scheduler):
    with workers(scheduler, HERE) as (still,):
        still.send_signal(signal.SIGSTOP)
        with pytest.raises(ClusterError, match=r"^no worker answers: tcp://.* for 4 seconds; see"):
            open_engine(asked(scheduler, 4))


def test_a_worker_with_other_code_of_the_same_number_is_refused(scheduler, tmp_path):
    shutil.copytree(HERE / "chunkmeans", tmp_path / "chunkmeans")
    with (tmp_path / "chunkmeans/image/grid.py").open("a") as file:
        file.write("# changed\n")
    words = rf"has other code of chunkmeans {code_version()[0]} \(.*\); install the same"
    with workers(scheduler, tmp_path), pytest.raises(ClusterError, match=words):
        open_engine(asked(scheduler, LONG))


def test_a_worker_without_our_code_is_refused_with_what_to_install(scheduler, tmp_path):
    (tmp_path / "chunkmeans").mkdir()
    missing = "No module named 'chunkmeans.engines'"  # wherever else Python might find one
    (tmp_path / "chunkmeans/__init__.py").write_text(f'raise ModuleNotFoundError("{missing}")')
    words = r"cannot run chunkmeans: tcp://.*No module named .chunkmeans.engines.*; install chunkm"
    with workers(scheduler, tmp_path), pytest.raises(ClusterError, match=words):
        open_engine(asked(scheduler, LONG))


def test_the_hash_is_of_all_sources_and_their_names(tmp_path):
    (tmp_path / "a").mkdir()
    file = tmp_path / "a/one.py"
    file.write_text("1")
    first = _hash_of(tmp_path)
    (tmp_path / "note.txt").touch()
    assert _hash_of(tmp_path) == first
    file.write_text("2")
    changed = _hash_of(tmp_path)
    file.rename(tmp_path / "a/two.py")
    assert len({first, changed, _hash_of(tmp_path)}) == 3
