"""A few things per task, one by one where a task failed."""

from collections import Counter

import pytest
from chunkmeans.engines.serial import SerialEngine
from chunkmeans.steps.segment.batches import LEAST_PER_TASK, MOST_PER_TASK, batches_of, map_batches


def refuse(thing, error):
    raise AssertionError(f"{thing} failed: {error}")


@pytest.mark.parametrize("number", [0, 1, 7, 1000])
@pytest.mark.parametrize("threads", [1, 3])
def test_every_thing_is_done_once(number, threads):
    sizes = []

    def double(things):
        sizes.append(len(things))
        return [2 * thing for thing in things]

    found = map_batches(SerialEngine(threads), double, range(number), refuse, name="double")
    assert Counter(found) == Counter(range(0, 2 * number, 2))
    assert sum(sizes) == number
    assert all(size <= MOST_PER_TASK for size in sizes)


@pytest.mark.parametrize("number", [1, 5, 40, 200, 5000])
@pytest.mark.parametrize("threads", [1, 2, 16])
def test_bundles_shrink_so_that_no_thread_waits_long_for_the_last(number, threads):
    sizes = [len(bundle) for bundle in batches_of(range(number), threads)]
    assert sum(sizes) == number
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] <= max(1, number // (4 * threads))
    assert sizes[-1] <= LEAST_PER_TASK


def test_an_error_is_of_a_single_thing_and_the_others_of_its_task_are_done():
    def but_not_40(things):
        if 40 in things:
            raise ValueError("40 is not liked")
        return things

    def failed(thing, error):
        return thing, str(error)

    found = list(map_batches(SerialEngine(), but_not_40, range(100), failed, name="all"))
    done = [thing for thing in found if isinstance(thing, int)]
    assert [thing for thing in found if thing not in done] == [(40, "40 is not liked")]
    assert sorted(done) == [n for n in range(100) if n != 40]
