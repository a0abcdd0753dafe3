"""What the events of a run add up to: the numbers behind both displays and the summary."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from chunkmeans import events
from chunkmeans.cli.quantities import decimal, duration

Clock = Callable[[], float]
FIT = "k-means"
"""What a fit is called among the phases: it lasts over many passes, or needs none."""
SLOW_ITERATION = 0.5
"""Seconds of an iteration, from which on they are shown."""
QUIET = 2.0
"""Seconds without a finished part, before the first and after the last, until a reason is shown."""
MOST_PROBLEMS = 20
"""Images whose reason is shown; the catalogue has all of them."""


@dataclass
class Phase:
    """A running phase, in numbers."""

    name: str
    subject: str
    total: int
    """Pixels to come; 0 where that is not known."""
    units: int
    """Tasks or images to come; 0 where that is not known."""
    clock: Clock
    pixels: int = 0
    nbytes: int = 0
    done: int = 0
    """Tasks or images that are finished."""
    parts: int = 0
    """Events that some are."""
    iteration: events.Iterated | None = None
    """The latest."""
    started: float = field(init=False)
    moved: float = field(init=False)
    """When a part of it was last finished."""

    def __post_init__(self) -> None:
        self.started = self.moved = self.clock()

    def advance(self, pixels: int, nbytes: int, units: int) -> None:
        """Count a part that is finished."""
        self.pixels += pixels
        self.nbytes += nbytes
        self.done += units
        self.parts += 1
        self.moved = self.clock()

    @property
    def seconds(self) -> float:
        """Time since the start; never 0, for rates."""
        return max(self.clock() - self.started, 1e-3)

    @property
    def share(self) -> float:
        """Which part is done, 0 to 1: by pixels where they are known, else by tasks."""
        of = self.pixels / self.total if self.total else self.done / max(1, self.units)
        return min(1.0, of)

    @property
    def progress(self) -> str:
        """How far it is: images where they are counted, else per cent."""
        if self.name == "images":
            return f"{self.done:,}/{self.units:,}"
        return f"{self.share:.0%}" if self.total or self.units else ""

    @property
    def _moving(self) -> float:
        """Time that what is done took: rates do not sink while the next part is under way."""
        return max(self.moved - self.started, 1e-3)

    @property
    def speed(self) -> str:
        """Pixels and bytes per second, on average."""
        if not self.pixels:
            return ""
        pixels = decimal(self.pixels / self._moving, "px/s")
        return f"{pixels}  {decimal(self.nbytes / self._moving, 'B/s')}"

    @property
    def left(self) -> str:
        """Time that is left at this speed, or how long it has been where nothing is done yet."""
        if not self.share:
            return f"{duration(self.seconds)} so far" if self.seconds >= QUIET else ""
        if self.share == 1:  # the results of the parts are being merged, for example
            return "finishing" if self.clock() - self.moved >= QUIET else ""
        left = self._moving / self.share - self.seconds
        # nothing is known of a last part that takes longer than the others
        return f"{duration(left)} left" if left > 0 else ""

    @property
    def fit(self) -> str:
        """How the fit stands after the latest iteration, in words."""
        last = self.iteration
        if last is None:
            return ""
        words = [f"start {last.restart + 1}"] if last.restart else []
        words.append(f"{last.index:,} iteration{'s' * (last.index > 1)}")
        words += [f"E {last.residual:.4g}", f"inertia {last.inertia:.5g}"]
        each = self._moving / max(1, self.done)
        if each >= SLOW_ITERATION:
            words.append(f"{duration(each)} each")
        return "  ".join(words)


class Tally:
    """Phases that run now, and what became of the images so far."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.phases: dict[tuple[str, str], Phase] = {}
        self.problems: list[events.ImageFinished] = []
        """The first that are not done, failures before the others."""
        self.shown: str | None = None
        """Id of the first image that has a result."""
        self.seconds: float | None = None
        """How long the run took; None before its end."""
        self._read: dict[str, float] = {}

    def __call__(self, event: events.Event) -> None:
        """Count one event; a finished phase stays until `end`, which a display calls."""
        match event:
            case events.PhaseStarted("images", units=1):
                return  # the phases of that image show all there is
            case events.PhaseStarted():
                self.phases[event.phase, event.subject] = Phase(
                    event.phase, event.subject, event.pixels, event.units, self.clock
                )
            case events.Advanced():
                if phase := self.of(event):
                    phase.advance(event.pixels, event.nbytes, event.units)
            case events.PhaseFinished("read"):
                self._read[event.subject] = self.clock()
            case events.Iterated():
                self._fit(event)
            case events.ImageFinished():
                self._read.pop(event.image, None)
                if event.state in ("done", "warned"):
                    self.shown = self.shown or event.image
                if event.state != "done":
                    self.problems.append(event)
                    self.problems.sort(key=lambda e: e.state != "failed")
                    del self.problems[MOST_PROBLEMS:]
            case events.RunFinished():
                self.seconds = event.seconds

    def _fit(self, event: events.Iterated) -> None:
        """Count an iteration. No event begins a fit: it does when everything is read."""
        key = (FIT, event.subject)
        if key not in self.phases:
            self.phases[key] = Phase(FIT, event.subject, 0, 0, self.clock)
            begun = self._read.pop(event.subject, None)
            if begun is not None:
                self.phases[key].started = begun
        self.phases[key].iteration = event
        self.phases[key].advance(0, 0, 1)

    def of(self, event: events.Advanced | events.PhaseStarted) -> Phase | None:
        """Return the phase that `event` belongs to; None if it was never announced."""
        return self.phases.get((event.phase, event.subject))

    def end(self, name: str, subject: str) -> Phase | None:
        """Forget a phase that is over, and return it; None if there was none."""
        return self.phases.pop((name, subject), None)
