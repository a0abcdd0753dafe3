"""One driver at a time: refused while it lives, taken over when it is dead, lost when asleep."""

import errno
import json
import multiprocessing
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from threading import Event
from time import monotonic

import pytest
from chunkmeans.errors import ResultError
from chunkmeans.results.store import lease as module
from chunkmeans.results.store.lease import BEATS_UNTIL_DEAD, Holder, Lease, holder, lives
from chunkmeans.results.store.store import LEASE, Store

from tests.support.object_store import Told

BEAT = 0.05
ROUNDS = 60


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
        until = monotonic() + 240
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


def test_a_process_of_this_machine_is_looked_up_without_waiting(tmp_path, monkeypatch):
    store = Store(str(tmp_path / "out"))
    code = (
        "import sys\nfrom chunkmeans.results.store.lease import Lease\n"
        "from chunkmeans.results.store.store import Store\n"
        "with Lease(Store(sys.argv[1])):\n    print('held', flush=True)\n    input()\n"
    )
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", code, store.path], cwd=root, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with process:
        assert process.stdout.readline() == "held\n"
        monkeypatch.setattr(module, "monotonic", lambda: pytest.fail("it is watched"))
        with pytest.raises(ResultError, match=f"process {process.pid} on"), Lease(store):
            pass
        process.kill()
        process.wait()
        with Lease(store) as mine:
            assert mine.before.pid == process.pid


def test_another_process_of_the_same_number_is_not_the_driver(any_store):
    leave(any_store, replace(Holder.here(), id="x", pid=1, born=1.0))
    with Lease(any_store) as mine:
        assert mine.before.pid == 1


def test_a_dead_drivers_lease_is_taken_over(any_store):
    left = dead_process()
    leave(any_store, left)
    with Lease(any_store) as mine:
        assert mine.before == left


def take_over(folder, together, said):
    """Ask for the dead lease of each round at the same moment as others; say who got which."""
    for number in range(ROUNDS):
        lease = Lease(Store(f"{folder}/{number}"))
        together.wait(240)
        try:
            with lease:
                said.put((number, lease.before.id))
                together.wait(240)
        except ResultError:
            together.wait(240)
    said.put(None)


def test_of_many_that_find_a_dead_lease_at_once_one_takes_it_over(tmp_path):
    left = dead_process()
    for number in range(ROUNDS):
        leave(Store(f"{tmp_path}/{number}"), left)
    spawned = multiprocessing.get_context("spawn")
    together, said = spawned.Barrier(3), spawned.Queue()
    drivers = [
        spawned.Process(target=take_over, args=(str(tmp_path), together, said)) for _ in range(3)
    ]
    for driver in drivers:
        driver.start()
    got, ended = [], 0
    while ended < len(drivers):
        found = said.get(timeout=240)
        got, ended = (got, ended + 1) if found is None else ([*got, found], ended)
    for driver in drivers:
        driver.join()
    assert sorted(got) == [(number, left.id) for number in range(ROUNDS)]
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_a_driver_that_finds_the_dead_lease_replaced_meanwhile_is_refused(any_store, monkeypatch):
    leave(any_store, dead_process())

    def overtaken(store, found, beat):
        leave(store, elsewhere())
        return False

    monkeypatch.setattr(module, "lives", overtaken)
    with pytest.raises(ResultError, match="node7"), Lease(any_store):
        pass
    assert holder(any_store).host == "node7"


def test_a_driver_that_dies_while_it_takes_over_is_no_obstacle(tmp_path):
    store = Store(str(tmp_path))
    leave(store, dead_process())
    code = (
        "import os, sys\nfrom chunkmeans.results.store.lease import Lease\n"
        "from chunkmeans.results.store.store import Store\n"
        "Store.write_lines = lambda *_: os._exit(9)\n"
        "Lease(Store(sys.argv[1])).__enter__()\n"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code, store.path]
    assert subprocess.run(command, cwd=root, check=False).returncode == 9
    with Lease(store) as mine:
        assert mine.before.id == "x"
    assert store.files() == []


@pytest.mark.parametrize("when", ["no lock", "another machine", "object store"])
def test_where_others_cannot_be_kept_out_the_last_that_takes_over_stands(
    tmp_path, monkeypatch, when
):
    store = Store("told://settles" if when == "object store" else str(tmp_path))
    leave(store, elsewhere() if when == "another machine" else dead_process())
    if when == "no lock":

        def refuse(*_):
            raise OSError(errno.ENOSYS, "not implemented")

        monkeypatch.setattr("chunkmeans.results.store.local_files.fcntl.flock", refuse)

    class Settling(Event):
        def wait(self, timeout=None):
            if timeout == module.SETTLE:  # the other one writes meanwhile
                leave(store, elsewhere(id="y"))
            return super().wait(timeout)

    monkeypatch.setattr(module, "Event", Settling)
    with pytest.raises(ResultError, match="node7"), Lease(store, beat=BEAT):
        pass
    assert holder(store).id == "y"


def test_a_silent_driver_of_another_machine_is_watched_and_then_taken_for_dead(any_store):
    leave(any_store, elsewhere())
    begin = monotonic()
    with Lease(any_store, beat=BEAT) as mine:
        assert mine.before.host == "node7"
    assert monotonic() - begin >= BEATS_UNTIL_DEAD * BEAT


@pytest.mark.parametrize("since", ["1970-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00"])
def test_a_driver_of_another_machine_lives_as_long_as_its_number_grows_whatever_its_clock(
    any_store, monkeypatch, since
):
    leave(any_store, elsewhere(since=since))

    class Beating(Event):
        def wait(self, timeout=None):  # the other one lives while it is watched
            leave(any_store, elsewhere(since=since, beat=1))
            return super().wait(timeout)

    monkeypatch.setattr(module, "Event", Beating)
    with pytest.raises(ResultError, match="process 4711 on node7"), Lease(any_store, beat=BEAT):
        pass


def test_a_driver_of_another_machine_that_ends_while_it_is_watched_is_no_obstacle(any_store):
    found = elsewhere()
    leave(any_store, found)
    any_store.delete(LEASE)
    assert not lives(any_store, found, BEAT)


def test_a_driver_that_slept_too_long_finds_that_another_took_over(any_store):
    with Lease(any_store, beat=BEAT) as mine:
        leave(any_store, elsewhere())
        mine._thread.join(240)
        with pytest.raises(ResultError, match=r"another run took over.*node7"):
            mine.refuse_lost()
    assert holder(any_store).host == "node7"


def test_a_driver_that_ends_leaves_the_lease_of_another_that_took_over(any_store):
    with Lease(any_store):
        leave(any_store, elsewhere())
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
