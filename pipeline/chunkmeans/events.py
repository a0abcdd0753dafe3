"""The events of a run. Values only: a watcher is any function of one event.

Progress bars, plain lines and the log file are three watchers of the same events.
"""

from collections.abc import Callable
from dataclasses import dataclass

COLLECTION = "collection"
"""The subject of events that are of all images; an image's are under its id."""


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run begins."""

    images: int
    """Inputs of this run."""
    pending: int
    """Those of them that are not done yet."""


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A phase begins.

    ``read``, ``iterate``, ``label`` or ``pyramid`` of an image or of the collection; or
    ``images``, where each unit is one whole small image.
    """

    phase: str
    subject: str
    """Id of the image, or `COLLECTION`."""
    pixels: int
    """Pixels to come in this phase; of ``images``, of all its images."""
    units: int
    """Tasks or images to come in this phase; 0: not known."""


@dataclass(frozen=True, slots=True)
class Advanced:
    """A part of the running phase is finished."""

    phase: str
    subject: str
    pixels: int
    """Pixels of this part."""
    nbytes: int
    """Decoded bytes of this part."""
    units: int = 1
    """Tasks or images of this part."""
    seconds: float = 0.0
    """Time its task took where it ran, seconds."""
    attempts: int = 1
    """How often its task was tried."""


@dataclass(frozen=True, slots=True)
class PhaseFinished:
    """A phase ended."""

    phase: str
    subject: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Iterated:
    """One iteration of the k-means ended."""

    subject: str
    restart: int
    """Which of the starts, from 0."""
    index: int
    """Which iteration of this start, from 1."""
    residual: float
    """E, in the scaled metric."""
    inertia: float
    """Sum of squared distances to the means before this iteration's update."""


@dataclass(frozen=True, slots=True)
class ImageFinished:
    """An input reached its state."""

    image: str
    """Its id."""
    state: str
    """``done``, ``warned``, ``failed`` or ``skipped``."""
    reason: str
    """Why, if not ``done``; one line."""
    seconds: float
    detail: str = ""
    """Traceback of a failure, for the log."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth knowing, such as the dashboard's address."""

    text: str
    level: str = "info"
    """``info``, ``warning`` or ``error``."""


@dataclass(frozen=True, slots=True)
class RunFinished:
    """A run ended, of itself."""

    counts: dict[str, int]
    """Inputs by state."""
    seconds: float


Event = (
    RunStarted
    | PhaseStarted
    | Advanced
    | PhaseFinished
    | Iterated
    | ImageFinished
    | Note
    | RunFinished
)
Watcher = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Watch nothing."""


def both(first: Watcher, second: Watcher) -> Watcher:
    """Return a watcher that passes each event to two."""

    def watch(event: Event) -> None:
        first(event)
        second(event)

    return watch
