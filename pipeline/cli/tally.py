"""What the events of a run add up to: the numbers behind both displays and the summary."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.cli.quantities import decimal, duration
from pipeline.events import (
    Advanced,
    Event,
    ImageFinished,
    Iterated,
    PhaseStarted,
    RunFinished,
)

Clock = Callable[[], float]
FIT = "k-means"
"""What a fit is called among the phases: it lasts over many passes, or needs none."""
MOST_PROBLEMS = 20
"""Images whose reason is told; the catalogue has all of them."""


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
    iteration: Iterated | None = None
    """The latest."""
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

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
    def speed(self) -> str:
        """Pixels and bytes per second, on average."""
        if not self.pixels:
            return ""
        pixels = decimal(self.pixels / self.seconds, "px/s")
        return f"{pixels}  {decimal(self.nbytes / self.seconds, 'B/s')}"

    @property
    def left(self) -> str:
        """Time that is left at this speed."""
        if not 0 < self.share < 1:
            return ""
        return f"{duration(self.seconds / self.share * (1 - self.share))} left"

    @property
    def fit(self) -> str:
        """The latest iteration in words."""
        last = self.iteration
        if last is None:
            return ""
        start = f"start {last.restart + 1}  " if last.restart else ""
        return f"{start}iteration {last.index}  E {last.residual:.4g}  inertia {last.inertia:.5g}"


class Tally:
    """Phases that run now, and what became of the images so far."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.phases: dict[tuple[str, str], Phase] = {}
        self.problems: list[ImageFinished] = []
        """The first that are not done, failures before the others."""
        self.shown: str | None = None
        """Id of the first image that has a result."""
        self.seconds: float | None = None
        """How long the run took; None before its end."""

    def __call__(self, event: Event) -> None:
        """Count one event; a finished phase stays until `end`, for those who watch after."""
        match event:
            case PhaseStarted("images", units=1):
                return  # the phases of that image tell all there is
            case PhaseStarted():
                self.phases[event.phase, event.subject] = Phase(
                    event.phase, event.subject, event.pixels, event.units, self.clock
                )
            case Advanced():
                if phase := self.of(event):
                    phase.pixels += event.pixels
                    phase.nbytes += event.nbytes
                    phase.done += event.units
            case Iterated():
                fit = Phase(FIT, event.subject, 0, 0, self.clock)
                self.phases.setdefault((FIT, event.subject), fit).iteration = event
            case ImageFinished():
                if event.state in ("done", "warned"):
                    self.shown = self.shown or event.image
                if event.state != "done":
                    self.problems.append(event)
                    self.problems.sort(key=lambda e: e.state != "failed")
                    del self.problems[MOST_PROBLEMS:]
            case RunFinished():
                self.seconds = event.seconds

    def of(self, event: Advanced | PhaseStarted) -> Phase | None:
        """Return the phase that `event` belongs to; None if it was never announced."""
        return self.phases.get((event.phase, event.subject))

    def end(self, name: str, subject: str) -> Phase | None:
        """Forget a phase that is over, and return it; None if there was none."""
        return self.phases.pop((name, subject), None)
