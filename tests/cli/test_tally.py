"""The numbers behind the displays: rates, time left, iterations."""

import pytest
from chunkmeans.cli.quantities import duration
from chunkmeans.cli.tally import FIT, QUIET, Tally
from chunkmeans.events import Advanced, ImageFinished, Iterated, PhaseFinished, PhaseStarted
from hypothesis import given
from hypothesis import strategies as st


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tally(clock):
    return Tally(clock)


def read(tally, pixels=1000, units=10):
    tally(PhaseStarted("read", "a", pixels, units))
    return tally.phases["read", "a"]


def test_time_left_counts_down_and_speed_stays_while_a_part_is_under_way(tally, clock):
    phase = read(tally)
    clock.now = 10.0
    tally(Advanced("read", "a", 100, 300))
    seen = []
    for clock.now in (10.0, 40.0, 99.0):
        seen.append((phase.speed, phase.left))
    assert seen == [
        ("10 px/s  30 B/s", f"{left} left") for left in ("1 min 30 s", "1 min 00 s", "1.0 s")
    ]


def test_of_a_last_part_that_takes_longer_than_the_others_no_time_is_promised(tally, clock):
    phase = read(tally)
    clock.now = 9.0
    tally(Advanced("read", "a", 900, 900))
    clock.now = 9.5
    assert phase.left == "0.5 s left"
    clock.now = 11.0
    assert phase.left == ""
    tally(Advanced("read", "a", 100, 100))
    assert (phase.left, phase.progress) == ("", "100%")


def test_a_phase_whose_parts_are_all_done_says_that_it_is_finishing(tally, clock):
    phase = read(tally)
    clock.now = 10.0
    tally(Advanced("read", "a", 1000, 1000))
    clock.now += QUIET
    assert (phase.progress, phase.left, phase.speed) == ("100%", "finishing", "100 px/s  100 B/s")


def test_a_phase_of_which_nothing_is_done_yet_tells_how_long_it_has_been(tally, clock):
    phase = read(tally)
    clock.now = QUIET / 2
    assert phase.left == phase.speed == ""
    clock.now = 25.0
    assert (phase.progress, phase.left, phase.speed) == ("0%", "25 s so far", "")


@given(
    pace=st.floats(0.1, 100.0),
    parts=st.lists(st.integers(1, 10**6), min_size=1, max_size=30),
)
def test_at_an_even_pace_the_time_left_is_the_time_that_it_takes(pace, parts):
    clock = Clock()
    tally = Tally(clock)
    total = sum(parts)
    phase = read(tally, total, len(parts))
    for part in parts[:-1]:
        clock.now += part * pace
        tally(Advanced("read", "a", part, part))
        truth = total * pace - clock.now
        left, shown = phase.left.removesuffix(" left"), {truth * (1 - 1e-6), truth * (1 + 1e-6)}
        assert left in {duration(seconds) for seconds in shown}


def test_a_fit_begins_when_everything_is_read(tally, clock):
    read(tally)
    clock.now = 7.0
    tally(PhaseFinished("read", "a", 7.0))
    for index in range(1, 4):
        clock.now += 20.0
        tally(Iterated("a", 0, index, 0.5, 10.0))
    fit = tally.phases[FIT, "a"]
    clock.now += 5.0  # of an iteration that is not over
    assert fit.fit == "3 iterations  E 0.5  inertia 10  20 s each"
    assert fit.seconds == 65.0


def test_iterations_of_all_starts_are_as_long_as_they_took(tally, clock):
    read(tally)
    tally(PhaseFinished("read", "a", 0.0))
    for restart in range(2):
        for index in range(1, 6):
            clock.now += 1.0
            tally(Iterated("a", restart, index, 0.5, 10.0))
    assert tally.phases[FIT, "a"].fit == "start 2  5 iterations  E 0.5  inertia 10  1.0 s each"


def test_quick_iterations_are_counted_and_not_timed(tally, clock):
    clock.now = 0.01
    tally(Iterated("a", 0, 1, 0.5, 10.0))
    assert tally.phases[FIT, "a"].fit == "1 iteration  E 0.5  inertia 10"


def test_images_without_a_fit_leave_nothing_behind(tally):
    for n in range(5):
        tally(PhaseStarted("read", f"i{n}", 10, 1))
        tally(PhaseFinished("read", f"i{n}", 0.1))
        tally.end("read", f"i{n}")
        tally(ImageFinished(f"i{n}", "skipped", "no valid pixel", 0.1))
    assert tally.phases == tally._read == {}
