"""When to save: as often as that takes a twentieth of the time at most."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

PAUSE_PER_SAVE = 20
"""Times as long as a save took pass before the next."""


class SavePace:
    """When the next save is due.

    Parameters
    ----------
    least
        Seconds between two saves, at least; the first comes as late too.
    """

    def __init__(self, least: float) -> None:
        self.least = least
        self._saved = monotonic()
        self._pause = 0.0

    @property
    def due(self) -> bool:
        """Whether it is time to save."""
        return monotonic() - self._saved >= max(self.least, self._pause)

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Measure a save, which is done inside."""
        begin = monotonic()
        yield
        self._saved = monotonic()
        self._pause = PAUSE_PER_SAVE * (self._saved - begin)
