"""One driver at a time: refused while it lives, taken over when it is dead, lost when asleep."""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import pytest

from pipeline.errors import ResultError
from pipeline.results import lease as module
from pipeline.results.lease import PATIENCE, Holder, Lease, holder, lives
from pipeline.results.store import LEASE, Store
from tests.object_store import Told

BEAT = 0.05


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "SETTLE", 0.01)


def leave(store, found):
    """Write the lease of somebody else."""
    store.write_text(LEASE, json.dumps(asdict(found)))


def elsewhere(**changed):
    """Return the lease of a driver on another machine."""
    there = {"id": "x", "host": "node7", "pid": 4711, "machine": "elsewhere", **changed}
    return replace(Holder.here(), **there)


def dead_process():
    """Return the lease of a process of this machine that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return replace(Holder.here(), id="x", pid=process.pid)


def test_a_lease_is_there_while_it_is_held_and_gone_after(any_store):
    with Lease(any_store, lambda: {"phase": "read"}, BEAT) as mine:
        found = holder(any_store)
        assert found.id == mine.mine.id
        assert found.progress == {"phase": "read"}
        until = monotonic() + 20
        while holder(any_store).beat <= found.beat:
            assert monotonic() < until, "it gives no sign of life"
            Event().wait(BEAT)
    assert holder(any_store) is None
    assert any_store.files() == []


def test_a_second_driver_of_this_process_is_refused_and_told_who_and_since_when(any_store):
    with Lease(any_store) as mine:
        with pytest.raises(ResultError) as refused, Lease(any_store):
            pass
        for said in (mine.mine.host, str(mine.mine.pid), mine.mine.since, any_store.path):
            assert said in str(refused.value)
        mine.refuse_lost()
        assert holder(any_store).id == mine.mine.id


def test_a_process_of_this_machine_is_looked_up_without_waiting(tmp_path):
    store = Store(str(tmp_path / "out"))
    code = (
        "import sys\nfrom pipeline.results.lease import Lease\n"
        "from pipeline.results.store import Store\n"
        "with Lease(Store(sys.argv[1])):\n    print('held', flush=True)\n    input()\n"
    )
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", code, store.path], cwd=root, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with process:
        assert process.stdout.readline() == "held\n"
        begin = monotonic()
        with pytest.raises(ResultError, match=f"process {process.pid} on"), Lease(store):
            pass
        process.kill()
        process.wait()
        with Lease(store) as mine:
            assert mine.before.pid == process.pid
        assert monotonic() - begin < PATIENCE * module.BEAT / 2


def test_another_process_of_the_same_number_is_not_the_driver(any_store):
    leave(any_store, replace(Holder.here(), id="x", pid=1, born=1.0))
    with Lease(any_store) as mine:
        assert mine.before.pid == 1


def test_a_dead_drivers_lease_is_taken_over(any_store):
    left = dead_process()
    leave(any_store, left)
    with Lease(any_store) as mine:
        assert mine.before == left


def test_a_silent_driver_of_another_machine_is_watched_and_then_taken_for_dead(any_store):
    leave(any_store, elsewhere())
    begin = monotonic()
    with Lease(any_store, beat=BEAT) as mine:
        assert mine.before.host == "node7"
    assert monotonic() - begin >= PATIENCE * BEAT


@pytest.mark.parametrize("since", ["1970-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00"])
def test_a_driver_of_another_machine_lives_as_long_as_its_number_grows_whatever_its_clock(
    any_store, since
):
    done = Event()
    leave(any_store, elsewhere(since=since))

    def beat():
        number = 0
        while not done.wait(BEAT):
            number += 1
            leave(any_store, elsewhere(since=since, beat=number))

    thread = Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(ResultError, match="process 4711 on node7"), Lease(any_store, beat=BEAT):
            pass
    finally:
        done.set()
        thread.join()


def test_a_driver_of_another_machine_that_ends_while_it_is_watched_is_no_obstacle(any_store):
    found = elsewhere()
    leave(any_store, found)
    any_store.delete(LEASE)
    assert not lives(any_store, found, BEAT)


def test_a_driver_that_slept_too_long_finds_that_another_took_over(any_store):
    with Lease(any_store, beat=BEAT) as mine:
        leave(any_store, elsewhere())
        mine._thread.join(20)
        with pytest.raises(ResultError, match=r"another run took over.*node7"):
            mine.refuse_lost()
    assert holder(any_store).host == "node7"


@pytest.mark.parametrize("just", ["before", "after"])
def test_of_two_that_start_at_once_one_goes_on(any_store, monkeypatch, just):
    create = Store.create_text

    def raced(self, name, text):
        if just == "before":
            leave(any_store, elsewhere())
            return create(self, name, text)
        created = create(self, name, text)
        leave(any_store, elsewhere())
        return created

    monkeypatch.setattr(Store, "create_text", raced)
    with pytest.raises(ResultError, match="node7"), Lease(any_store, beat=BEAT):
        pass
    assert holder(any_store).host == "node7"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": 1}'])
def test_what_is_left_of_a_lease_is_none(any_store, text):
    any_store.write_text(LEASE, text)
    with Lease(any_store):
        pass


def test_a_store_that_does_not_answer_is_no_dead_driver():
    store = Store("told://silent")
    there = elsewhere()
    leave(store, there)

    def silent(when, request, path, nbytes):
        if (when, request) == ("before", "get"):
            raise TimeoutError("the store did not answer")

    Told.tell = silent
    try:
        with pytest.raises(ResultError, match="did not answer"), Lease(store, beat=BEAT):
            pass
    finally:
        Told.tell = None
    assert holder(store) == there


def test_a_lease_whose_creation_was_acknowledged_too_late_is_ones_own():
    puts = []

    def answer(when, request, path, nbytes):
        if (when, request) == ("after", "put"):
            puts.append(path)
            if len(puts) == 1:
                raise TimeoutError("the answer came too late")

    store = Store("told://late")
    Told.tell = answer
    try:
        with Lease(store) as mine:
            assert holder(store).id == mine.mine.id
    finally:
        Told.tell = None
    assert puts == ["late/lease.json"]
