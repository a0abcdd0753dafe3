"""What a run looks like while it runs: bars on a terminal, plain lines in a batch log.

Both write to stderr, so that stdout holds the result alone.
"""

import sys
from abc import abstractmethod
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Literal, Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from chunkmeans import events
from chunkmeans.cli.quantities import decimal, duration, short
from chunkmeans.cli.tally import FIT, MOST_PROBLEMS, Phase, Tally
from chunkmeans.secrets import without_secrets

STYLES = {"done": "green", "warned": "yellow", "failed": "red", "skipped": "dim"}
_SUBJECT_WIDTH = 28
"""Letters that the name of an image may take beside a bar."""
_WIDE_TERMINAL = 102
"""Columns of a terminal that a row with such a name needs."""


class Display(AbstractContextManager["Display"]):
    """A watcher that shows a run on stderr; a context that lasts as long as the run."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self._shown = 0
        self._many = False

    def __call__(self, event: events.Event) -> None:
        """Count the event, then show it."""
        self.tally(event)
        match event:
            case events.RunStarted():
                # of a database only images that went wrong have a line each
                self._many = event.pending > MOST_PROBLEMS
                done = event.images - event.pending
                before = "all" if event.pending == 0 else f"{done:,}"
                resumed = f", {before} of them ended before" if done else ""
                plural = "" if event.images == 1 else "s"
                self.write(f"{event.images:,} image{plural}{resumed}", "bold")
            case events.PhaseStarted():
                if event.phase != "iterate":
                    # what comes after the means of the image, or of the collection, are found
                    self._end(FIT, event.subject)
                    self._end(FIT, "collection")
                if phase := self.tally.of(event):
                    self.begin(phase)
            case events.Advanced():
                if phase := self.tally.of(event):
                    self.advance(phase)
            case events.Iterated():
                self.advance(self.tally.phases[FIT, event.subject])
            case events.PhaseFinished():
                self._end(event.phase, event.subject, event.seconds)
            case events.ImageFinished():
                self._end(FIT, event.image)
                self._image(event)
            case events.Note():
                style = {"warning": "yellow", "error": "red"}.get(event.level, "dim")
                prefix = "" if event.level == "info" else f"{event.level}: "
                self.write(f"{prefix}{without_secrets(event.text)}", style)

    def _end(self, name: str, subject: str, seconds: float | None = None) -> None:
        """End a phase if there is one; without `seconds` it took as long as it was watched."""
        if phase := self.tally.end(name, subject):
            self.end(phase, phase.seconds if seconds is None else seconds)

    def _image(self, event: events.ImageFinished) -> None:
        """Write what became of an image, unless that would flood the screen."""
        if event.state == "done":
            if not self._many:
                self.write(f"done {event.image} in {duration(event.seconds)}", STYLES["done"])
            return
        self._shown += 1
        if self._shown <= MOST_PROBLEMS:
            self.write(f"{event.state} {event.image}: {event.reason}", STYLES.get(event.state, ""))
        elif self._shown == MOST_PROBLEMS + 1:
            self.write("more such images are listed in catalog.csv only", "dim")

    @abstractmethod
    def write(self, text: str, style: str = "") -> None:
        """Show one line that stays."""

    @abstractmethod
    def begin(self, phase: Phase) -> None:
        """Show that a phase runs."""

    @abstractmethod
    def advance(self, phase: Phase) -> None:
        """Show that a phase is further."""

    @abstractmethod
    def end(self, phase: Phase, seconds: float) -> None:
        """Show that a phase is over, after `seconds`."""

    def __exit__(self, *_: object) -> None:
        return


def summary(phase: Phase, seconds: float) -> str:
    """Return a finished phase in one line; its speed is that over all `seconds`.

    Empty for a pass of the k-means over the pixels: its fit has one line as a whole.
    """
    if phase.name == "iterate":
        return ""
    words = [phase.name, phase.subject] if phase.name != "images" else ["images"]
    if phase.fit:
        words.append(phase.fit)
    if phase.pixels:
        words.append(decimal(phase.pixels, "px"))
        words.append(decimal(phase.pixels / max(seconds, 1e-3), "px/s"))
    words.append(duration(seconds))
    return "  ".join(words)


class Lines(Display):
    """Plain lines, at most one of progress per phase in ten seconds: for batch logs."""

    EVERY = 10.0
    """Seconds between two lines of progress of one phase."""

    def __init__(self, tally: Tally, file: TextIO | None = None) -> None:
        super().__init__(tally)
        self.file = file or sys.stderr
        self._next: dict[str, float] = {}

    def write(self, text: str, style: str = "") -> None:
        """Write one line with the time of day."""
        print(f"{datetime.now():%H:%M:%S} {text}", file=self.file, flush=True)

    def begin(self, phase: Phase) -> None:
        """Wait a while before the first line, since most phases are short."""
        self._due(phase)

    def _due(self, phase: Phase) -> float:
        """Return when the next line of this kind of phase may be written."""
        return self._next.setdefault(phase.name, self.tally.clock() + self.EVERY)

    def advance(self, phase: Phase) -> None:
        """Write how far the phase is, if its last line is long enough ago."""
        now = self.tally.clock()
        if now < self._due(phase):
            return
        if phase.name == "images" and phase.parts == 1:
            # those of the same bundle are counted next: by one alone they would seem slow
            self._next[phase.name] = now + 1
            return
        self._next[phase.name] = now + self.EVERY
        subject = phase.subject if phase.name != "images" else ""
        words = [phase.name, subject, phase.progress, phase.speed, phase.fit, phase.left]
        self.write("  ".join(word for word in words if word))

    def end(self, phase: Phase, seconds: float) -> None:
        """Write the phase in one line; a short one only if a line is due."""
        line = summary(phase, seconds)
        if line and (seconds >= 1 or self.tally.clock() >= self._due(phase)):
            self.write(line)
            self._next[phase.name] = self.tally.clock() + self.EVERY


def _column(
    shown: str, style: str, justify: Literal["left", "right"] = "left", width: int = 0
) -> TextColumn:
    """Return a column that shows a property of a bar's task, such as one of the phase behind it."""
    column = Column(no_wrap=True, min_width=width, justify=justify)
    return TextColumn(f"{{task.{shown}}}", style, justify, markup=False, table_column=column)


class Bars(Display):
    """A bar per running phase, redrawn in place: for terminals."""

    def __init__(self, tally: Tally, console: Console) -> None:
        super().__init__(tally)
        self.console = console
        # 80 columns hold a row in its narrow form
        wide = console.width >= _WIDE_TERMINAL
        self._letters, bar = (_SUBJECT_WIDTH, 24) if wide else (14, 8)
        heads = (
            SpinnerColumn(style="blue"),
            _column("fields[phase].name", "bold", width=7),
            _column("description", "cyan", width=self._letters),
        )
        self.bars = Progress(
            *heads,
            BarColumn(bar_width=bar, complete_style="blue", finished_style="green"),
            _column("fields[phase].progress", "bold", "right", width=4),
            _column("fields[phase].speed", "dim"),
            _column("fields[phase].left", "dim"),
            console=console,
        )
        self.fits = Progress(*heads, _column("fields[phase].fit", "magenta"), console=console)
        self.live = Live(Group(self.bars, self.fits), console=console, refresh_per_second=8)
        self._rows: dict[tuple[str, str], tuple[Progress, TaskID]] = {}

    def write(self, text: str, style: str = "") -> None:
        """Print a line above the bars."""
        self.console.print(Text(text, style), soft_wrap=True, highlight=False)

    def begin(self, phase: Phase) -> None:
        """Add a row."""
        rows = self.fits if phase.name == FIT else self.bars
        subject = short(phase.subject, self._letters) if phase.name != "images" else ""
        total = 1.0 if phase.total or phase.units else None
        row = rows.add_task(subject, total=total, phase=phase)
        self._rows[phase.name, phase.subject] = rows, row

    def advance(self, phase: Phase) -> None:
        """Move the bar."""
        if (phase.name, phase.subject) not in self._rows:  # a fit is announced by no event
            self.begin(phase)
        rows, row = self._rows[phase.name, phase.subject]
        rows.update(row, completed=phase.share)

    def end(self, phase: Phase, seconds: float) -> None:
        """Replace the row by a line above."""
        rows, row = self._rows.pop((phase.name, phase.subject))
        rows.remove_task(row)
        line = summary(phase, seconds)
        if line and (seconds >= 1 or not self._many):
            self.write(f"  {line}", "dim")

    def __enter__(self) -> Self:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        # what still runs is no result: its bars go, the lines above stay
        for rows, row in self._rows.values():
            rows.remove_task(row)
        self._rows.clear()
        self.live.stop()


def display(tally: Tally) -> Display:
    """Return what suits stderr: bars on a terminal, lines elsewhere."""
    console = Console(stderr=True)
    return Bars(tally, console) if console.is_terminal else Lines(tally)
