import pytest
from chunkmeans.engines.serial import SerialEngine
from chunkmeans.errors import ConfigError
from chunkmeans.testing import EngineTests

from tests.engines import tasks
from tests.engines.refused import assert_refused


class TestSerial(EngineTests):
    @pytest.fixture
    def engine(self):
        return SerialEngine()

    def test_outcomes_come_in_the_order_of_the_items(self, engine):
        assert [o.item for o in engine.map(tasks.square, "cab", name="x")] == list("cab")

    def test_nothing_runs_before_it_is_asked_for(self, engine):
        taken = []
        items = (taken.append(i) or i for i in range(3))
        outcomes = engine.map(tasks.square, items, name="square")
        assert taken == []
        next(outcomes)
        assert taken == [0]


class TestSerialWithThreads(EngineTests):
    @pytest.fixture
    def engine(self):
        return SerialEngine(threads=3)

    def test_tasks_run_at_the_same_time(self, engine):
        places = engine.map_reduce(tasks.where, range(12), tasks.union, name="where")
        assert len({thread for _, _, thread in places}) == 3


def test_threads_below_one_are_refused():
    assert_refused("serial", {"threads": 0}, "cluster.options.threads: 0")


def test_an_unknown_option_is_refused_by_name():
    assert_refused("serial", {"thread": 2}, "cluster.options.thread: .*did you mean threads")


def test_it_has_no_performance_report_to_give():
    with SerialEngine() as engine, pytest.raises(ConfigError, match="performance report is Dask's"):
        engine.reported("report.html")
