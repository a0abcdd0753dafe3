"""What every engine promises: `EngineTests`, which each inherits with itself as a fixture."""

import functools
import pickle
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chunkmeans.engines.base import Engine
from chunkmeans.errors import ChunkError, SourceError
from chunkmeans.testing import tasks
from chunkmeans.testing.tasks import Marked

few_examples = settings(
    max_examples=10,
    deadline=None,
    # One test for several engines, each of which lives longer than an example.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


class EngineTests:
    """Inherit, and define the fixture `engine`; one that all tests share will do."""

    @pytest.fixture
    def engine(self) -> Any:
        """Return, or yield, the engine that is tested."""
        raise NotImplementedError

    # -- map ------------------------------------------------------------------------------------

    def test_every_item_has_exactly_one_outcome_with_its_value(self, engine: Engine) -> None:
        outcomes = list(engine.map(tasks.square, range(50), name="square"))
        assert sorted((o.item, o.value) for o in outcomes) == [(i, i * i) for i in range(50)]
        assert all(o.error is None and o.attempts == 1 for o in outcomes)

    def test_no_items_have_no_outcomes(self, engine: Engine) -> None:
        assert list(engine.map(tasks.square, [], name="square")) == []

    def test_an_outcome_states_how_long_the_task_took(self, engine: Engine) -> None:
        begin = monotonic()
        (outcome,) = engine.map(tasks.square_slowly, [7], name="square")
        assert 0.02 <= outcome.seconds <= monotonic() - begin

    def test_items_are_taken_as_there_is_room(self, engine: Engine) -> None:
        taken: list[int] = []
        items = (taken.append(i) or i for i in range(1000))  # type: ignore[func-returns-value]
        outcomes = engine.map(tasks.square, items, name="square")
        next(outcomes)
        assert len(taken) <= 2 * engine.threads + 1
        for _ in range(9):
            next(outcomes)
        assert len(taken) <= 2 * engine.threads + 10
        cast("Generator[object]", outcomes).close()

    def test_an_error_is_an_outcome_and_stops_no_other_item(self, engine: Engine) -> None:
        outcomes = {o.item: o for o in engine.map(tasks.square_or_fail, range(20), name="square")}
        for number, outcome in outcomes.items():
            if number % 5 == 3:
                assert outcome.value is None
                with pytest.raises(ValueError, match="is not liked") as caught:
                    outcome.unwrap()
                assert str(caught.value) == f"{number} is not liked"
            else:
                assert outcome.unwrap() == number * number

    def test_an_error_keeps_where_it_came_from(self, engine: Engine) -> None:
        (outcome,) = engine.map(tasks.square_or_fail, [3], name="square")
        assert outcome.error is not None
        (note,) = outcome.error.__notes__
        assert note.startswith("while working on 3:\n")
        assert "in square_or_fail" in note
        assert str(pickle.loads(pickle.dumps(outcome)).error) == "3 is not liked"

    def test_an_error_that_does_not_pickle_keeps_its_text(self, engine: Engine) -> None:
        (outcome,) = engine.map(tasks.unpicklable_error, [3], name="unpicklable")
        assert type(outcome.error) is ChunkError
        assert str(outcome.error) == "Unpicklable: 3 and more"

    def test_a_transient_error_is_retried(self, engine: Engine, tmp_path: Path) -> None:
        items = [Marked(i, str(tmp_path)) for i in range(9)]
        outcomes = list(engine.map(tasks.transient_error_first, items, name="try"))
        assert sorted(o.unwrap() for o in outcomes) == [i * i for i in range(9)]
        assert {o.item.number: o.attempts for o in outcomes} == {
            i: 2 if i % 3 == 0 else 1 for i in range(9)
        }

    def test_a_transient_error_that_stays_ends_after_three_attempts(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        task = partial(tasks.always, OSError("still away"))
        (outcome,) = engine.map(task, [Marked(0, str(tmp_path))], name="try")
        assert (outcome.attempts, len(list(tmp_path.iterdir()))) == (3, 3)
        with pytest.raises(OSError, match="still away"):
            outcome.unwrap()

    @pytest.mark.parametrize(
        "error", [FileNotFoundError("gone"), SourceError("broken"), ValueError("wrong")]
    )
    def test_any_other_error_is_not_retried(
        self, engine: Engine, tmp_path: Path, error: Exception
    ) -> None:
        task = partial(tasks.always, error)
        (outcome,) = engine.map(task, [Marked(0, str(tmp_path))], name="try")
        assert (outcome.attempts, len(list(tmp_path.iterdir()))) == (1, 1)
        assert type(outcome.error) is type(error)

    def test_closing_the_iterator_cancels_what_has_not_run(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        items = [Marked(i, str(tmp_path)) for i in range(100)]
        outcomes = engine.map(tasks.mark_slowly, items, name="mark")
        next(outcomes)
        cast("Generator[object]", outcomes).close()
        list(engine.map(tasks.square, range(4 * engine.threads), name="square"))
        assert len(list(tmp_path.iterdir())) <= 2 * engine.threads + 1

    def test_two_maps_may_be_interleaved(self, engine: Engine) -> None:
        one = engine.map(tasks.square, range(20), name="one")
        two = engine.map(tasks.square_slowly, range(20), name="two")
        pairs = list(zip(one, two, strict=True))
        assert sorted(a.unwrap() for a, _ in pairs) == sorted(b.unwrap() for _, b in pairs)

    def test_several_threads_of_the_driver_may_use_it_at_once(self, engine: Engine) -> None:
        def run(start: int) -> int:
            return engine.map_reduce(
                tasks.square_slowly, range(start, start + 10), tasks.plus, name="sum"
            )

        with ThreadPoolExecutor(4) as pool:
            sums = list(pool.map(run, range(4)))
        assert sums == [sum(i * i for i in range(s, s + 10)) for s in range(4)]

    def test_a_task_may_carry_a_large_table(self, engine: Engine) -> None:
        table = bytes(range(256)) * 4096
        outcomes = engine.map(partial(tasks.entry_of, table), range(300, 340), name="table")
        assert sorted(o.unwrap()[0] for o in outcomes) == list(range(44, 84))

    # -- map_reduce -----------------------------------------------------------------------------

    @few_examples
    @given(numbers=st.lists(st.integers(-(10**20), 10**20), min_size=1, max_size=40))
    def test_map_reduce_is_reduce(self, engine: Engine, numbers: list[int]) -> None:
        merged = engine.map_reduce(tasks.count_and_sum, numbers, tasks.add_pairs, name="sum")
        pairs = map(tasks.count_and_sum, numbers)
        assert merged == functools.reduce(tasks.add_pairs, pairs)

    def test_map_reduce_of_no_items_is_refused(self, engine: Engine) -> None:
        with pytest.raises(ValueError, match="no items"):
            engine.map_reduce(tasks.square, [], tasks.plus, name="sum")

    def test_the_first_failure_of_map_reduce_is_raised_with_its_item(self, engine: Engine) -> None:
        with pytest.raises(ValueError, match="is not liked") as caught:
            engine.map_reduce(tasks.square_or_fail, range(20), tasks.plus, name="sum")
        assert any("while working on" in note for note in caught.value.__notes__)

    def test_map_reduce_retries_transient_errors(self, engine: Engine, tmp_path: Path) -> None:
        items = [Marked(i, str(tmp_path)) for i in range(9)]
        assert engine.map_reduce(tasks.transient_error_first, items, tasks.plus, name="sum") == sum(
            i * i for i in range(9)
        )

    def test_watch_is_called_with_every_outcome_without_its_value(self, engine: Engine) -> None:
        seen: list[Any] = []
        engine.map_reduce(tasks.square_slowly, range(20), tasks.plus, name="sum", watch=seen.append)
        assert sorted(o.item for o in seen) == list(range(20))
        assert all(o.value is None and o.error is None and o.seconds >= 0.02 for o in seen)

    def test_watch_is_called_with_the_failure(self, engine: Engine) -> None:
        seen: list[Any] = []
        with pytest.raises(ValueError, match="3 is not liked"):
            engine.map_reduce(
                tasks.square_or_fail, range(4), tasks.plus, name="sum", watch=seen.append
            )
        assert [str(o.error) for o in seen if o.error] == ["3 is not liked"]

    # -- what it is -----------------------------------------------------------------------------

    def test_its_size_is_known(self, engine: Engine) -> None:
        assert engine.workers >= 1
        assert engine.threads >= engine.workers
        assert engine.memory > 2**20
