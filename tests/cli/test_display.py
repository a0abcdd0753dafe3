"""What is shown while a run is running: lines in a log, bars on a terminal."""

import io
import sys

import pytest
from chunkmeans.cli.display import Bars, Lines, display
from chunkmeans.cli.tally import MOST_PROBLEMS, Tally
from chunkmeans.events import (
    Advanced,
    ImageFinished,
    Iterated,
    Note,
    PhaseFinished,
    PhaseStarted,
    RunStarted,
)
from rich.console import Console
from rich.text import Text


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def lines_of(file):
    """Return what was written, without the time of day."""
    return [line.split(" ", 1)[1] for line in file.getvalue().splitlines()]


def test_a_batch_log_has_a_line_per_phase_in_ten_seconds_at_most(clock):
    file = io.StringIO()
    with Lines(Tally(clock), file) as watch:
        watch(PhaseStarted("read", "a", 100_000_000, 100))
        for _ in range(100):
            clock.now += 0.5
            watch(Advanced("read", "a", 1_000_000, 3_000_000))
        watch(PhaseFinished("read", "a", 50.0))
    assert lines_of(file) == [
        "read  a  20%  2.00 Mpx/s  6.00 MB/s  40 s left",
        "read  a  40%  2.00 Mpx/s  6.00 MB/s  30 s left",
        "read  a  60%  2.00 Mpx/s  6.00 MB/s  20 s left",
        "read  a  80%  2.00 Mpx/s  6.00 MB/s  10 s left",
        "read  a  100%  2.00 Mpx/s  6.00 MB/s",
        "read  a  100 Mpx  2.00 Mpx/s  50 s",
    ]


@pytest.mark.parametrize("passes", [True, False], ids=["over the pixels", "on the table"])
def test_a_batch_log_sums_up_the_iterations(clock, passes):
    file = io.StringIO()
    with Lines(Tally(clock), file) as watch:
        for index in range(1, 41):
            if passes:
                watch(PhaseStarted("iterate", "a", 100, 1))
                watch(Advanced("iterate", "a", 100, 100))
            clock.now += 0.3
            if passes:
                watch(PhaseFinished("iterate", "a", 0.3))
            watch(Iterated("a", 0, index, 1 / index, 1000.0))
        watch(PhaseStarted("label", "a", 100, 1))
    lines = [line for line in lines_of(file) if line.startswith("k-means")]
    assert len(lines) == 2
    assert lines[1].startswith("k-means  a  40 iterations  E 0.025  inertia 1000  1")
    assert len(lines_of(file)) <= 3


def test_a_batch_log_of_a_database_counts_images_and_names_only_the_bad_ones(clock):
    file = io.StringIO()
    with Lines(Tally(clock), file) as watch:
        watch(RunStarted(1200, 1000))
        watch(PhaseStarted("images", "collection", 1_000_000, 1000))
        for n in range(1000):
            clock.now += 0.05
            watch(Advanced("images", "collection", 1000, 1000))
            state = "failed" if n % 10 == 3 else "done"
            watch(ImageFinished(f"i{n}", state, "broken" if state == "failed" else "", 0.05))
        watch(PhaseFinished("images", "collection", 50.0))
    lines = lines_of(file)
    assert lines[0] == "1,200 images, 200 of them ended before"
    assert [line for line in lines if line.startswith("done")] == []
    assert sum("broken" in line for line in lines) == MOST_PROBLEMS
    assert "more such images are listed in catalog.csv only" in lines
    assert "images  200/1,000  20.0 kpx/s  20.0 kB/s  40 s left" in lines
    assert len(lines) < 30


def test_the_first_image_of_a_bundle_is_not_taken_for_all_that_is_done(clock):
    file = io.StringIO()
    with Lines(Tally(clock), file) as watch:
        watch(PhaseStarted("images", "collection", 0, 100))
        for _ in range(2):
            clock.now += 50.0
            for _ in range(10):
                watch(Advanced("images", "collection", 1000, 1000))
                clock.now += 0.001
    assert lines_of(file) == ["images  11/100  110 px/s  110 B/s  13 min 29 s left"]


def test_one_image_alone_is_not_counted(clock):
    file = io.StringIO()
    with Lines(Tally(clock), file) as watch:
        watch(PhaseStarted("images", "collection", 0, 1))
        watch(Advanced("images", "collection", 10, 10))
        watch(PhaseFinished("images", "collection", 60.0))
    assert lines_of(file) == []


def test_many_short_phases_do_not_flood_a_batch_log(clock):
    file = io.StringIO()
    with Lines(Tally(clock), file) as watch:
        for n in range(1000):
            watch(PhaseStarted("read", f"i{n}", 10, 1))
            clock.now += 0.1
            watch(PhaseFinished("read", f"i{n}", 0.1))
    assert 5 <= len(lines_of(file)) <= 10


@pytest.mark.parametrize(
    ("images", "pending", "line"),
    [
        (1, 1, "1 image"),
        (6, 6, "6 images"),
        (6, 2, "6 images, 4 of them ended before"),
        (6, 0, "6 images, all of them ended before"),
    ],
)
def test_a_resumed_run_says_what_was_done_before(images, pending, line):
    file = io.StringIO()
    with Lines(Tally(), file) as watch:
        watch(RunStarted(images, pending))
    assert lines_of(file) == [line]


def test_notes_carry_their_level(clock):
    file = io.StringIO()
    with Lines(Tally(clock), file) as watch:
        watch(Note("dashboard at http://127.0.0.1:8787"))
        watch(Note("a worker was lost", "warning"))
    assert lines_of(file) == ["dashboard at http://127.0.0.1:8787", "warning: a worker was lost"]


EVENTS = [
    RunStarted(2, 2),
    PhaseStarted("images", "collection", 100, 2),
    PhaseStarted("read", "a[1]", 1000, 0),
    Advanced("read", "a[1]", 400, 400),
    Advanced("images", "collection", 50, 50),
    PhaseStarted("iterate", "a[1]", 0, 0),
    Iterated("a[1]", 1, 3, 0.5, 10.0),
    # of a phase that was never announced
    Advanced("label", "x", 1, 1),
    PhaseFinished("label", "x", 1.0),
]


def test_a_terminal_shows_bars_while_phases_run_and_lines_when_they_are_over():
    console = Console(file=io.StringIO(), force_terminal=True, width=120, height=40, no_color=True)
    with Bars(Tally(), console) as watch:
        for event in EVENTS:
            watch(event)
        watch.live.refresh()
        running = console.file.getvalue()
        for phase in ("read", "iterate"):
            watch(PhaseFinished(phase, "a[1]", 2.0))
        watch(ImageFinished("a[1]", "failed", "[bold]broken", 2.0))
    assert "a[1]" in running
    assert "40%" in running
    assert "1/2" in running
    assert "start 2  3 iterations  E 0.5  inertia 10" in running
    over = console.file.getvalue()[len(running) :]
    assert "read  a[1]  400 px  200 px/s  2.0 s" in over
    assert "k-means  a[1]  start 2  3 iterations  E 0.5  inertia 10" in over
    assert "failed a[1]: [bold]broken" in over


def test_no_bar_is_left_where_a_run_was_cut_off():
    console = Console(file=io.StringIO(), force_terminal=True, width=120, height=40)
    watch = Bars(Tally(), console)

    def interrupted():
        with watch:
            for event in EVENTS:
                watch(event)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert watch.bars.tasks == watch.fits.tasks == []
    assert not watch.live.is_started


@pytest.mark.parametrize("width", [80, 102, 160])
def test_a_row_fits_the_terminal(width):
    console = Console(
        file=io.StringIO(), force_terminal=True, width=width, height=40, no_color=True
    )
    clock = Clock()
    watch = Bars(Tally(clock), console)
    watch(PhaseStarted("read", "slides/2026/a/very/long/name.svs", 10**10, 100))
    clock.now = 90.0
    watch(Advanced("read", "slides/2026/a/very/long/name.svs", 6 * 10**9, 18 * 10**9))
    with console.capture() as capture:
        console.print(watch.bars)
    row = Text.from_ansi(capture.get()).plain.rstrip()
    assert "60%" in row
    assert "66.7 Mpx/s  200 MB/s" in row
    assert row.endswith("1 min 00 s left")
    assert "━" in row


def test_a_log_file_gets_lines_and_a_terminal_bars(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(display(Tally()), Lines)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(display(Tally()), Bars)
