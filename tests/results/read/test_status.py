"""What the files of a run tell of it."""

import json
import subprocess
import sys
from dataclasses import asdict, replace

import pytest
from chunkmeans.results.read.record import RunRecord
from chunkmeans.results.read.status import status_of
from chunkmeans.results.store.lease import Holder, Lease
from chunkmeans.results.store.store import LEASE

RECORD = RunRecord(
    config={}, settings={}, fingerprint="f", state="running", counts={"done": 6, "failed": 2},
    images=20, pending=12, ended=8, seconds=16.0, problems=(("a", "first"), ("b", "last")),
)  # fmt: skip
IMAGES = {"phase": "images", "units": 20, "units_done": 8}


def left_by(store, **changed):
    store.write_text(LEASE, json.dumps(asdict(replace(Holder.here(), id="x", **changed))))


def test_a_run_that_goes_on_tells_its_rate_and_the_time_left(any_store):
    with Lease(any_store, lambda: {"seconds": 20.0, "ended": 10, **IMAGES}):
        found = status_of(any_store, RECORD)
    assert (found.state, found.pending) == ("running", 10)
    assert (found.rate, found.seconds_left, found.seconds) == (0.5, 20.0, 20.0)
    assert found.doing == IMAGES


def test_nobody_knows_how_long_a_fit_takes(any_store):
    fit = {"phase": "iterate", "iteration": 7}
    with Lease(any_store, lambda: {"seconds": 20.0, "ended": 10, **fit}):
        found = status_of(any_store, RECORD)
    assert found.seconds_left is None
    assert found.doing["iteration"] == 7


@pytest.mark.parametrize("state", ["finished", "failed", "interrupted"])
def test_of_a_run_that_ended_the_record_tells_all(any_store, state):
    found = status_of(any_store, replace(RECORD, state=state))
    assert (found.state, found.pending, found.rate) == (state, 12, 0.5)
    assert (found.seconds_left, found.driver, found.doing) == (None, "", {})


def test_a_run_whose_process_is_gone_was_killed(any_store):
    assert status_of(any_store, RECORD).state == "killed"
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    left_by(any_store, pid=process.pid)
    assert status_of(any_store, RECORD).state == "killed"


def test_a_run_on_another_machine_is_watched(any_store):
    left_by(any_store, machine="elsewhere", host="node7")
    assert status_of(any_store, RECORD, beat=0.02).state == "killed"


def test_before_the_first_image_has_ended_there_is_no_rate(any_store):
    with Lease(any_store, lambda: {"seconds": 1.0, "ended": 0, **IMAGES}):
        found = status_of(any_store, replace(RECORD, ended=0))
    assert (found.rate, found.seconds_left) == (None, None)
