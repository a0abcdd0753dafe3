"""Cost that stays flat while the work grows: memory of scheduler and driver, time per chunk.

With pixels that need no decoding, what is left is the pipeline's own. Tolerances:

- scheduler: as many bytes at 100,000 chunks as at 10,000, but for `SLACK` and `OF_A_TASK`;
- driver: at most `OF_A_CHUNK` bytes per chunk, which are the lists of what to do;
- time: a chunk takes at most `LONGER` times the processor time that it takes among 1,000.
"""

import pytest

from tests.benchmarks.scale import image, measure, tasks

SLACK = 16 * 2**20
"""Bytes by which a process may differ from run to run: arenas, garbage not yet collected."""
OF_A_TASK = 320
"""Bytes of the scheduler for each task that ever was."""
OF_A_CHUNK = 600
"""Bytes of the driver: 240 of the chunk, 90 of where it was, 170 of names of stored objects."""
LONGER = 1.3
"""Times that a chunk may take of what it takes among few."""


def assert_flat(few, many):
    """Growing from `few` to `many` costs no more than the tolerances."""
    more = many.chunks - few.chunks
    assert many.scheduler <= few.scheduler + more * OF_A_TASK + SLACK, f"scheduler: {few} -> {many}"
    assert many.driver <= few.driver + more * OF_A_CHUNK + SLACK, f"driver: {few} -> {many}"
    assert many.cpu <= few.cpu * LONGER, f"time: {few} -> {many}"


@pytest.mark.bench
@pytest.mark.parametrize("work", [tasks, image], ids=["a task per chunk", "bundled"])
def test_a_few_hundred_chunks_fit_the_tolerances(work):
    found = measure(work, 400, warm=50)
    assert found.scheduler <= SLACK
    assert found.driver <= 400 * OF_A_CHUNK + SLACK
    assert 0 < found.scheduling < found.cpu


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("work", [tasks, image], ids=["a task per chunk", "bundled"])
def test_a_hundred_thousand_chunks_cost_no_more_each_than_a_thousand(work, capsys):
    found = []
    for count in (1_000, 10_000, 100_000):
        found.append(measure(work, count))
        with capsys.disabled():
            print(f"\n{found[-1]}", end="", flush=True)
    few, some, many = found
    assert_flat(some, many)
    assert many.cpu <= few.cpu * LONGER, f"time: {few} -> {many}"
