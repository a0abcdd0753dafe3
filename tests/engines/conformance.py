"""What every engine promises; each engine inherits it and gives itself as a fixture."""

import functools
import pickle
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic

import pytest
from chunkmeans.engines import open_engine
from chunkmeans.engines.base import Engine
from chunkmeans.errors import ChunkError, ConfigError, SourceError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engines import tasks
from tests.engines.tasks import Marked

few_examples = settings(
    max_examples=10,
    deadline=None,
    # One test for several engines, each of which lives longer than an example.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


class EngineTests:
    """Inherit, and define the fixture `engine`."""

    @pytest.fixture
    def engine(self) -> Engine:
        raise NotImplementedError

    # -- map ------------------------------------------------------------------------------------

    def test_every_item_has_exactly_one_outcome_with_its_value(self, engine):
        outcomes = list(engine.map(tasks.square, range(50), name="square"))
        assert sorted((o.item, o.value) for o in outcomes) == [(i, i * i) for i in range(50)]
        assert all(o.error is None and o.attempts == 1 for o in outcomes)

    def test_no_items_have_no_outcomes(self, engine):
        assert list(engine.map(tasks.square, [], name="square")) == []

    def test_an_outcome_says_how_long_the_task_took(self, engine):
        begin = monotonic()
        (outcome,) = engine.map(tasks.square_slowly, [7], name="square")
        assert 0.02 <= outcome.seconds <= monotonic() - begin

    def test_items_are_taken_as_there_is_room(self, engine):
        taken = []
        items = (taken.append(i) or i for i in range(1000))
        outcomes = engine.map(tasks.square, items, name="square")
        next(outcomes)
        assert len(taken) <= 2 * engine.threads + 1
        for _ in range(9):
            next(outcomes)
        assert len(taken) <= 2 * engine.threads + 10
        outcomes.close()

    def test_an_error_is_an_outcome_and_stops_no_other_item(self, engine):
        outcomes = {o.item: o for o in engine.map(tasks.square_or_fail, range(20), name="square")}
        for number, outcome in outcomes.items():
            if number % 5 == 3:
                assert outcome.value is None
                with pytest.raises(ValueError, match="is not liked") as caught:
                    outcome.unwrap()
                assert str(caught.value) == f"{number} is not liked"
            else:
                assert outcome.unwrap() == number * number

    def test_an_error_keeps_where_it_came_from(self, engine):
        (outcome,) = engine.map(tasks.square_or_fail, [3], name="square")
        (note,) = outcome.error.__notes__
        assert note.startswith("while working on 3:\n")
        assert "in square_or_fail" in note
        assert str(pickle.loads(pickle.dumps(outcome)).error) == "3 is not liked"

    def test_an_error_that_does_not_pickle_keeps_its_words(self, engine):
        (outcome,) = engine.map(tasks.awkward, [3], name="awkward")
        assert type(outcome.error) is ChunkError
        assert str(outcome.error) == "Awkward: 3 and more"

    def test_a_passing_error_is_tried_again(self, engine, tmp_path):
        items = [Marked(i, str(tmp_path)) for i in range(9)]
        outcomes = list(engine.map(tasks.passing_error_first, items, name="try"))
        assert sorted(o.value for o in outcomes) == [i * i for i in range(9)]
        assert {o.item.number: o.attempts for o in outcomes} == {
            i: 2 if i % 3 == 0 else 1 for i in range(9)
        }

    def test_an_error_that_does_not_pass_ends_after_three_attempts(self, engine, tmp_path):
        task = partial(tasks.always, OSError("still away"))
        (outcome,) = engine.map(task, [Marked(0, str(tmp_path))], name="try")
        assert (outcome.attempts, len(list(tmp_path.iterdir()))) == (3, 3)
        with pytest.raises(OSError, match="still away"):
            outcome.unwrap()

    @pytest.mark.parametrize(
        "error", [FileNotFoundError("gone"), SourceError("broken"), ValueError("wrong")]
    )
    def test_an_error_that_stays_is_not_tried_again(self, engine, tmp_path, error):
        task = partial(tasks.always, error)
        (outcome,) = engine.map(task, [Marked(0, str(tmp_path))], name="try")
        assert (outcome.attempts, len(list(tmp_path.iterdir()))) == (1, 1)
        assert type(outcome.error) is type(error)

    def test_closing_the_iterator_cancels_what_has_not_run(self, engine, tmp_path):
        items = [Marked(i, str(tmp_path)) for i in range(100)]
        outcomes = engine.map(tasks.mark_slowly, items, name="mark")
        next(outcomes)
        outcomes.close()
        list(engine.map(tasks.square, range(4 * engine.threads), name="square"))
        assert len(list(tmp_path.iterdir())) <= 2 * engine.threads + 1

    def test_two_maps_may_be_interleaved(self, engine):
        one = engine.map(tasks.square, range(20), name="one")
        two = engine.map(tasks.square_slowly, range(20), name="two")
        pairs = list(zip(one, two, strict=True))
        assert sorted(a.value for a, _ in pairs) == sorted(b.value for _, b in pairs)

    def test_several_threads_of_the_driver_may_use_it_at_once(self, engine):
        def run(start):
            return engine.map_reduce(
                tasks.square_slowly, range(start, start + 10), tasks.add, name="sum"
            )

        with ThreadPoolExecutor(4) as pool:
            sums = list(pool.map(run, range(4)))
        assert sums == [sum(i * i for i in range(s, s + 10)) for s in range(4)]

    def test_a_task_may_carry_a_large_table(self, engine):
        table = bytes(range(256)) * 4096
        outcomes = engine.map(partial(tasks.look_up, table), range(300, 340), name="table")
        assert sorted(o.unwrap()[0] for o in outcomes) == list(range(44, 84))

    # -- map_reduce -----------------------------------------------------------------------------

    @few_examples
    @given(numbers=st.lists(st.integers(-(10**20), 10**20), min_size=1, max_size=40))
    def test_map_reduce_is_reduce(self, engine, numbers):
        merged = engine.map_reduce(tasks.count_and_sum, numbers, tasks.add_pairs, name="sum")
        pairs = map(tasks.count_and_sum, numbers)
        assert merged == functools.reduce(tasks.add_pairs, pairs)

    def test_map_reduce_of_no_items_is_refused(self, engine):
        with pytest.raises(ValueError, match="no items"):
            engine.map_reduce(tasks.square, [], tasks.add, name="sum")

    def test_the_first_failure_of_map_reduce_is_raised_with_its_item(self, engine):
        with pytest.raises(ValueError, match="is not liked") as caught:
            engine.map_reduce(tasks.square_or_fail, range(20), tasks.add, name="sum")
        assert any("while working on" in note for note in caught.value.__notes__)

    def test_map_reduce_tries_passing_errors_again(self, engine, tmp_path):
        items = [Marked(i, str(tmp_path)) for i in range(9)]
        assert engine.map_reduce(tasks.passing_error_first, items, tasks.add, name="sum") == sum(
            i * i for i in range(9)
        )

    def test_a_watcher_is_told_of_every_item_without_its_value(self, engine):
        told = []
        engine.map_reduce(tasks.square_slowly, range(20), tasks.add, name="sum", watch=told.append)
        assert sorted(o.item for o in told) == list(range(20))
        assert all(o.value is None and o.error is None and o.seconds >= 0.02 for o in told)

    def test_a_watcher_is_told_of_the_failure(self, engine):
        told = []
        with pytest.raises(ValueError, match="3 is not liked"):
            engine.map_reduce(
                tasks.square_or_fail, range(4), tasks.add, name="sum", watch=told.append
            )
        assert [str(o.error) for o in told if o.error] == ["3 is not liked"]

    # -- what it is -----------------------------------------------------------------------------

    def test_it_says_how_large_it_is(self, engine):
        assert engine.workers >= 1
        assert engine.threads >= engine.workers
        assert engine.memory > 2**20


def assert_refused(kind, options, message, **more):
    """Opening the engine is a `ConfigError` of these words."""
    with pytest.raises(ConfigError, match=message):
        open_engine(kind, options, **more)
