import logging
import os
import random
import threading
import time
from contextlib import closing
from dataclasses import replace
from functools import partial

import dask
import psutil
import pytest
from chunkmeans.config import Cluster
from chunkmeans.config.models import Wait
from chunkmeans.engines.base import OutOfTime, WorkerKilled
from chunkmeans.engines.dask.settings import SETTINGS
from chunkmeans.errors import ClusterError, ConfigError
from chunkmeans.testing import EngineTests
from distributed import LocalCluster

from tests.engines import tasks
from tests.engines.tasks import Marked
from tests.support.engines import open_engine


@pytest.fixture(scope="module")
def in_threads():
    with open_engine("local", {"processes": False, "threads_per_worker": 2}) as engine:
        yield engine


@pytest.fixture(scope="module")
def in_processes():
    options = {"n_workers": 2, "threads_per_worker": 1}
    with open_engine("local", options, memory=3 * 2**30) as engine:
        yield engine


class TestDaskThreads(EngineTests):
    @pytest.fixture
    def engine(self, in_threads):
        return in_threads

    def test_tasks_run_in_threads_of_this_process(self, engine):
        places = engine.map_reduce(tasks.where, range(8), tasks.union, name="where")
        assert {process for _, process, _ in places} == {os.getpid()}


class TestDaskProcesses(EngineTests):
    @pytest.fixture
    def engine(self, in_processes):
        return in_processes

    def test_tasks_run_in_other_processes_at_the_same_time(self, engine):
        places = engine.map_reduce(tasks.where, range(16), tasks.union, name="where")
        processes = {process for _, process, _ in places}
        assert len(processes) == 2
        assert os.getpid() not in processes

    def test_a_large_table_reaches_every_worker(self, engine):
        table = bytes(range(256)) * 4096
        outcomes = engine.map(partial(tasks.entry_of, table), range(64), name="table")
        assert len({o.unwrap()[1] for o in outcomes}) == 2

    def test_items_come_back_to_the_worker_that_had_them(self, engine):
        def places():
            found = engine.map_reduce(
                tasks.where, range(12), tasks.union, name="where", near=partial(pow, 7)
            )
            return {(item, process) for item, process, _ in found}

        client = engine._connection.client
        client.run_on_scheduler(steal, False)  # how much depends on what else the machine does
        try:
            first = places()
            again = [places() for _ in range(3)]
        finally:
            client.run_on_scheduler(steal, True)
        assert again == [first] * 3

    def test_a_value_that_cannot_be_sent_is_the_outcome_of_its_item(self, engine):
        outcomes = {o.item: o for o in engine.map(tasks.unsendable, range(4), name="lock")}
        assert [i for i, o in outcomes.items() if o.error] == [2]
        assert "pickle" in str(outcomes[2].error)

    def test_a_killed_worker_costs_nothing_but_time(self, engine, tmp_path):
        items = [Marked(i, str(tmp_path)) for i in range(12)]
        total = engine.map_reduce(tasks.die_first, items, tasks.plus, name="sum")
        assert total == sum(i * i for i in range(12))
        assert len(list(tmp_path.iterdir())) == 2

    def test_an_item_that_always_kills_its_worker_costs_itself_only(self, engine):
        outcomes = {o.item: o for o in engine.map(tasks.die_always, range(8), name="die")}
        assert {i: o.value for i, o in outcomes.items() if i != 3} == {
            i: i * i for i in range(8) if i != 3
        }
        error = outcomes[3].error
        assert type(error) is WorkerKilled
        assert str(error).startswith("3: even in an isolated process, it ended with status 1")
        assert outcomes[3].attempts == 4, "three workers died, then an isolated process"

    def test_an_item_that_always_kills_its_worker_fails_map_reduce_by_name(
        self, engine, monkeypatch
    ):
        # one death is enough to be suspected, as each takes a second
        scheduler = engine._connection.client.cluster.scheduler
        monkeypatch.setattr(scheduler, "allowed_failures", 0)
        with pytest.raises(WorkerKilled, match=r"^3: even in an isolated process, it ended"):
            engine.map_reduce(tasks.die_always, [3, 4], tasks.plus, name="die")


def test_values_lost_with_their_worker_are_computed_again(in_processes):
    outcomes = in_processes.map(tasks.where, range(2), name="where")
    killed = []

    def kill_one(outcome):
        if len(killed) == 0 and outcome.item == 9:
            killed.append(kill_a_worker(in_processes))

    places = in_processes.map_reduce(
        tasks.where, range(20), tasks.union, name="where", watch=kill_one
    )
    outcomes.close()
    assert killed
    assert {item for item, _, _ in places} == set(range(20))


async def steal(allowed, dask_scheduler):
    """Let idle workers take what waits for others, or not."""
    stealing = dask_scheduler.extensions["stealing"]
    await (stealing.start() if allowed else stealing.stop())


def kill_a_worker(engine):
    info = engine._connection.client.run(os.getpid)
    os.kill(pid := next(iter(info.values())), 9)
    return pid


def test_no_worker_left_is_an_error_and_no_hang():
    options = {"n_workers": 1, "threads_per_worker": 1}
    engine = open_engine(Cluster(options=options, wait=Wait(timeout=1.5)))
    with closing(engine):
        connection = engine._connection
        # as on a cluster that somebody else runs
        connection.workers = replace(connection.workers, replace=None)
        engine._connection.client.cluster.scale(0)
        with pytest.raises(ClusterError, match=r"no worker for 1.5 seconds; see whether"):
            list(engine.map(tasks.square, range(4), name="square"))


def test_what_had_best_run_on_a_worker_that_went_runs_on_one_that_comes_later():
    """Dask forgets such tasks where there was no worker at all when it went."""
    options = {"processes": False, "n_workers": 1, "threads_per_worker": 1}
    with open_engine("local", options) as engine:
        client, lost = engine._connection.client, []

        def lose_all(outcome):
            if not lost and outcome.item == 2:
                lost.append(outcome)
                client.cluster.scale(0)
                while client.nthreads():
                    time.sleep(0.02)
                threading.Timer(0.5, client.cluster.scale, [1]).start()

        near = partial(tasks.in_family, "a")
        for watch in (None, lose_all):
            total = engine.map_reduce(
                tasks.square_slowly, range(8), tasks.plus, name="sum", near=near, watch=watch
            )
            assert total == 140
        assert lost


def test_workers_that_dask_gave_up_are_replaced(monkeypatch):
    # so short a time that no worker comes back within it: Dask closes it for good
    monkeypatch.setitem(SETTINGS, "distributed.deploy.lost-worker-timeout", "10ms")
    with open_engine(Cluster(options={"n_workers": 1}, wait=Wait(timeout=240))) as engine:
        values, client = [], engine._connection.client
        for number, outcome in enumerate(engine.map(tasks.square_slowly, range(30), name="slow")):
            values.append(outcome.unwrap())
            if number == 5:
                for process in client.run(os.getpid).values():
                    os.kill(process, 9)
        assert sorted(values) == [n * n for n in range(30)]


def test_a_lost_scheduler_is_an_error_and_no_hang():
    engine = open_engine("local", {"processes": False, "threads_per_worker": 1})
    with closing(engine):
        outcomes = engine.map(tasks.square_slowly, range(1000), name="square")
        next(outcomes)
        engine._connection.client.cluster.close()
        with pytest.raises(ClusterError, match=r"lost the scheduler at tcp://127.0.0.1"):
            list(outcomes)


class Lines(logging.Handler):
    """Collects what is logged.

    Not pytest's: it sits where Dask, for as long as a cluster of this process is open, turns down
    all handlers, namely at the logger ``distributed`` if that was imported before the tests began.
    """

    def __init__(self):
        super().__init__()
        self.texts = []

    def emit(self, record):
        self.texts.append(record.getMessage())


@pytest.fixture
def log():
    """Return the lines of a worker's log that are ours."""
    logger, lines = logging.getLogger("distributed.chunkmeans"), Lines()
    before = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    yield lines.texts
    logger.setLevel(before)
    logger.removeHandler(lines)


def test_the_log_of_a_worker_tells_phase_and_item_before_the_work_and_why_it_failed(log):
    with (
        dask.config.set({"distributed.worker.memory.pause": False}),
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        open_engine("address", {"address": cluster.scheduler_address}) as engine,
    ):  # fmt: skip
        list(engine.map(tasks.square_or_fail, range(4), name="collect"))
    assert {f"collect {i}: begins" for i in range(4)} <= set(log)
    assert any(line.startswith("collect ") and ": failed: " in line for line in log)


def test_a_performance_report_is_a_page_of_what_was_done(tmp_path):
    pytest.importorskip("bokeh", reason="Dask's reports need bokeh (extra dashboard)")
    page = tmp_path / "report.html"
    with (
        open_engine("local", {"processes": False, "threads_per_worker": 1}) as engine,
        engine.reported(str(page)),
    ):
        list(engine.map(tasks.square, range(4), name="iterate"))
    assert "iterate" in page.read_text()


def test_a_performance_report_without_bokeh_is_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.setattr("chunkmeans.engines.dask.engine.find_spec", lambda name: None)
    with (
        open_engine("local", {"processes": False, "threads_per_worker": 1}) as engine,
        pytest.raises(ConfigError, match=r"needs bokeh; pip install 'chunkmeans\[dashboard\]'"),
        engine.reported("report.html"),
    ):
        pass


@pytest.mark.slow
def test_workers_that_are_killed_all_the_time_change_no_value():
    over = threading.Event()

    def kill_workers():
        while not over.wait(2.5):
            below = psutil.Process().children()
            workers = [p for p in below if "spawn_main" in " ".join(p.cmdline())]
            if workers:
                random.choice(workers).kill()

    options = {"n_workers": 3, "threads_per_worker": 1}
    killer = threading.Thread(target=kill_workers)
    with open_engine("local", options, memory=4 * 2**30) as engine:
        killer.start()
        try:
            for _ in range(3):
                total = engine.map_reduce(tasks.square_slowly, range(400), tasks.plus, name="sum")
                assert total == sum(i * i for i in range(400))
        finally:
            over.set()
            killer.join()


def test_an_item_that_hangs_is_given_up_at_once_and_the_others_are_done(tmp_path, in_processes):
    """Its worker says so and ends; it is not tried again on others, nor in an isolated process."""
    engine = in_processes
    items = [Marked(number, str(tmp_path)) for number in range(20)]
    outcomes = {o.item.number: o for o in engine.map(tasks.hang_at_three, items, name="hang")}
    assert isinstance(outcomes[3].error, OutOfTime)
    assert str(outcomes[3].error) == "3 takes too long"
    assert outcomes[3].attempts == 1
    assert {n: o.value for n, o in outcomes.items() if n != 3} == {
        n: n * n for n in range(20) if n != 3
    }
    assert items[3].mark() == 2, "it was tried again"
    with pytest.raises(OutOfTime, match="3 takes too long"):
        engine.map_reduce(tasks.hang_at_three, items, tasks.plus, name="hang")
    assert engine.map_reduce(tasks.square, range(20), tasks.plus, name="sum") == 2470
    assert not engine._connection._expected


class TestAMapReduceOfManyItems:
    """More than a block of them, on a scheduler in this process that can be looked into."""

    BLOCK = 16

    @pytest.fixture
    def engine(self, in_threads, monkeypatch):
        monkeypatch.setattr("chunkmeans.engines.dask.engine.MERGE_BLOCK", self.BLOCK)
        return in_threads

    @pytest.mark.parametrize("number", [1, 15, 16, 17, 32, 33, 49])
    def test_blocks_make_the_same_value(self, engine, number):
        places = engine.map_reduce(tasks.count_and_sum, range(number), tasks.add_pairs, name="sum")
        assert places == (number, sum(range(number)))

    def test_blocks_of_no_time_make_the_same_value(self, engine, monkeypatch):
        monkeypatch.setattr("chunkmeans.engines.dask.engine.MERGE_BLOCK_SECONDS", 0.0)
        places = engine.map_reduce(tasks.count_and_sum, range(40), tasks.add_pairs, name="sum")
        assert places == (40, sum(range(40)))

    def test_the_first_failure_is_raised_in_a_later_block_too(self, engine):
        with pytest.raises(ValueError, match="never liked"):
            engine.map_reduce(tasks.fails_at_90, range(100), tasks.plus, name="sum")

    def test_the_scheduler_forgets_what_is_merged(self, engine):
        scheduler = engine._connection.client.cluster.scheduler
        most = []
        engine.map_reduce(
            tasks.square, range(8 * self.BLOCK), tasks.plus, name="sum",
            watch=lambda _: most.append(len(scheduler.tasks)),
        )  # fmt: skip
        # a value and a merge per item, of the block that is merged and of the next
        assert max(most) <= 4 * self.BLOCK + 4 * engine.threads
        assert max(most) >= 2 * self.BLOCK, "or nothing was looked at"

    def test_the_scheduler_forgets_each_submission(self, engine, monkeypatch):
        monkeypatch.setattr("chunkmeans.engines.dask.connection.TRIM_EVERY", 32)
        spans = engine._connection.client.cluster.scheduler.extensions["spans"].spans
        most = []

        def noted(_):
            most.append(sum(len(s.metadata["collections"]) for s in spans.values() if s.metadata))

        engine.map_reduce(tasks.square, range(150), tasks.plus, name="sum", watch=noted)
        assert 0 < max(most[64:]) <= 64

    def test_reports_that_never_come_are_done_without(self, engine, monkeypatch):
        monkeypatch.setattr(engine._connection, "_expected", Unreceived())
        told = []
        total = engine.map_reduce(
            tasks.square_slowly, range(20), tasks.plus, name="sum", watch=told.append
        )
        assert total == sum(n * n for n in range(20))
        assert sorted(outcome.item for outcome in told) == list(range(20))
        assert all(outcome.seconds >= 0.02 for outcome in told)

    def test_no_report_is_left(self, engine):
        engine.map_reduce(tasks.square, range(40), tasks.plus, name="sum")
        with pytest.raises(ValueError, match="is not liked"):
            engine.map_reduce(tasks.square_or_fail, range(40), tasks.plus, name="sum")
        assert not engine._connection._expected


class Unreceived(dict):
    """A place for reports where none arrives."""

    def get(self, key):
        return None


class TestHomes:
    """Where the driver remembers that a worker had an item before."""

    @pytest.fixture
    def engine(self, in_threads, monkeypatch):
        monkeypatch.setattr("chunkmeans.engines.dask.engine.REMEMBERED_KEYS", 10)
        yield in_threads
        for family in "abc":
            in_threads.release(family)

    def known(self, engine, family, number):
        return [n for n in range(number) if engine._last_worker((family, n)) is not None]

    def visit(self, engine, family, number):
        near = partial(tasks.in_family, family)
        engine.map_reduce(tasks.square, range(number), tasks.plus, name="sum", near=near)

    def test_as_many_are_remembered_as_there_is_room(self, engine):
        for _ in range(2):
            self.visit(engine, "a", 30)
            known = self.known(engine, "a", 30)
            assert len(known) == 10
        again = self.known(engine, "a", 30)
        assert again == known, "the first ones stay, as what is held does"

    def test_another_family_makes_room(self, engine):
        self.visit(engine, "a", 10)
        self.visit(engine, "b", 4)
        assert self.known(engine, "a", 10) == []
        assert self.known(engine, "b", 4) == [0, 1, 2, 3]

    def test_what_is_released_is_forgotten(self, engine):
        self.visit(engine, "a", 4)
        engine.release("a")
        assert self.known(engine, "a", 4) == []
        self.visit(engine, "b", 10)
        self.visit(engine, "b", 10)
        assert self.known(engine, "b", 10) == list(range(10))
