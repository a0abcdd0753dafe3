"""How an input ended: one row of the catalogue, whatever happened."""

import traceback
from dataclasses import dataclass
from time import perf_counter

from pipeline.errors import ChunkmeansError
from pipeline.events import Advanced, ImageFinished
from pipeline.results.catalog import Row
from pipeline.steps.image import Job


@dataclass(frozen=True, slots=True)
class Ending:
    """The one state that an input ends in."""

    row: Row
    nbytes: int = 0
    """Decoded bytes of its image; 0 if it failed."""
    detail: str = ""
    """Traceback of a failure, for the log."""

    @property
    def event(self) -> ImageFinished:
        """What the watcher is told."""
        row = self.row
        return ImageFinished(row.id, row.state, row.reason, row.seconds or 0.0, self.detail)


def failed(job: Job, error: Exception, begin: float | None = None) -> Ending:
    """Return the ending of an image that could not be segmented."""
    reason = str(error)
    if not isinstance(error, ChunkmeansError) or not reason:
        reason = f"{type(error).__name__}: {reason}".removesuffix(": ")
    row = Row(
        id=job.id,
        source=job.path,
        state="failed",
        reason=" ".join(reason.split()),
        seconds=None if begin is None else perf_counter() - begin,
        extra=job.manifest,
    )
    return Ending(row, detail="".join(traceback.format_exception(error)))


def advanced(ending: Ending) -> Advanced:
    """Return what an image that ended tells the watcher of the phase ``images``."""
    row = ending.row
    pixels = (row.pixels or 0) + (row.nodata or 0)
    return Advanced("images", "collection", pixels, ending.nbytes, seconds=row.seconds or 0.0)
