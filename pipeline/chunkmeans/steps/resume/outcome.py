"""How an input ended, and whether one that failed would fail again."""

import os
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter, time

from chunkmeans.engines.base import OutOfMemory, OutOfTime
from chunkmeans.errors import ChunkmeansError, ClusterError, ConfigError, LimitError, ResultError
from chunkmeans.events import ImageFinished
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.results.read.catalog import Row
from chunkmeans.results.write.complete import Mark
from chunkmeans.retry import is_transient
from chunkmeans.secrets import without_secrets
from chunkmeans.sources.files.byte_ranges import file_fingerprint
from chunkmeans.sources.files.content_hash import content_of
from chunkmeans.sources.registry import open_image
from chunkmeans.steps.chunk import CONTENT, read_by
from chunkmeans.steps.job import Job
from chunkmeans.steps.resume.catalog_rows import failed_row


@dataclass(frozen=True, slots=True)
class Ending:
    """The one state that an input ends in."""

    row: Row
    nbytes: int = 0
    """Decoded bytes of its image; 0 if it failed."""
    detail: str = ""
    """Traceback of a failure, for the log."""
    written: Moments | None = field(default=None, repr=False)
    """Exact totals of its labelled pixels, where the fit is of several images."""
    mark: Mark | None = None
    """Of its image's store, still to be set: until then it is no ending (`completed`)."""

    @property
    def event(self) -> ImageFinished:
        """The event that the watcher gets."""
        row = self.row
        return ImageFinished(row.id, row.state, row.reason, row.seconds or 0.0, self.detail)


def failed(
    job: Job, error: Exception, begin: float | None = None, *, again: bool = False
) -> Ending:
    """Return the ending of an image that could not be segmented.

    Parameters
    ----------
    begin
        When the attempt began, by `perf_counter`.
    again
        Whether the next run tries it again though the file is the same: it was read well before.
    """
    lasting = is_its_own(error) and not again
    row = failed_row(
        job,
        without_secrets(reason_of(error)),
        None if begin is None else perf_counter() - begin,
        failed_with(job, begin, limit=limit_that_refused(error)) if lasting else "",
    )
    return Ending(row, detail=without_secrets("".join(traceback.format_exception(error))))


def reason_of(error: Exception) -> str:
    """Return the reason that a row gives for an error, one line.

    >>> reason_of(KeyError("width")), reason_of(ChunkmeansError("no such codec"))
    ("KeyError: 'width'", 'no such codec')
    """
    reason = str(error)
    if not isinstance(error, ChunkmeansError) or not reason:
        reason = f"{type(error).__name__}: {reason}".removesuffix(": ")
    return " ".join(reason.split())


def is_its_own(error: BaseException) -> bool:
    """Whether the same file, with the same limits, would fail again.

    That is: nothing of machines, disks, memory or rights.

    >>> is_its_own(ValueError("no such codec")), is_its_own(PermissionError("a.tif"))
    (True, False)
    """
    others = (ResultError, ClusterError, ConfigError, OutOfMemory, MemoryError, PermissionError)
    for cause in _causes(error):
        words = type(cause) is OSError and cause.errno is None  # a decoder's, not the system's
        ours = isinstance(cause, ChunkmeansError)
        if isinstance(cause, others) or (is_transient(cause) and not ours and not words):
            return False
    return True


def limit_that_refused(error: BaseException) -> str:
    """Return which of ``images.limits`` an image failed by; empty if none.

    >>> limit_that_refused(LimitError("600 pixels, where 599 are allowed", "pixels"))
    'pixels'
    """
    for cause in _causes(error):
        if isinstance(cause, LimitError):
            return cause.limit
        if isinstance(cause, OutOfTime):
            return "seconds"
    return ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, what caused it, and so on."""
    while error is not None:
        yield error
        error = error.__cause__


def limit_in(mark: str) -> str:
    """Return the limit that is named by what `failed_with` returned; empty if none is.

    >>> limit_in("12 bytes, 99 ns limits.pixels 599")
    'pixels'
    """
    _, named, limit = mark.rpartition(" limits.")
    return limit.split()[0] if named else ""


def failed_with(job: Job, begin: float | None = None, *, limit: str = "") -> str:
    """Return what changes when an image that failed does; empty if nothing is known to.

    Sizes and times of the files, or a hash of their bytes where the job wants that, as a broken
    one has nothing else to be known by; and what the limit is that refused it.

    Parameters
    ----------
    begin
        When the attempt began, by `perf_counter`. A file that changed since then may have been
        read half written, and is to be tried again.
    """
    stamps, since = [], None if begin is None else time() - (perf_counter() - begin)
    for path in (job.path,) if job.mask is None else (job.path, job.mask):
        with suppress(Exception):  # whatever hides the file: then it is tried again
            if not os.path.isdir(path):
                stamps.append(_mark(path, job))
                if since is None or not os.path.exists(path) or os.stat(path).st_mtime < since:
                    continue
        return ""
    mark = ("" if job.fingerprint == "stat" else CONTENT) + " mask ".join(stamps)
    return f"{mark} limits.{limit} {getattr(job.options.limits, limit, None)}" if limit else mark


def _mark(path: str, job: Job) -> str:
    options = job.options.storage_options
    by_stat = job.fingerprint == "stat"
    mark = file_fingerprint(path, options) if by_stat else content_of([path], options)
    try:
        return mark + read_by(open_image(path, job.options))
    except ChunkmeansError:  # no reader takes it
        return mark
