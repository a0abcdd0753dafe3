"""Marks the images that a task wrote as complete, in batches: one disk sync for many.

A mark is set when everything of its image is on the disk. For small images that takes longer than
their pixels, so it is done once for all that were written in the last seconds.
"""

import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from time import monotonic

from chunkmeans.errors import ResultError
from chunkmeans.results.store.store import Store
from chunkmeans.results.write.complete import complete
from chunkmeans.steps.resume.catalog_rows import failed_row
from chunkmeans.steps.resume.outcome import Ending, reason_of

SECONDS = 2.0
"""Of work that may be lost, about, because its marks are not set yet when a task is killed."""


def completed(store: Store, written: Iterable[Ending]) -> Iterator[Ending]:
    """Yield the endings of images once their stores are complete; never raises for an image."""
    waiting: list[Ending] = []
    begin = monotonic()
    for ending in written:
        waiting.append(ending)
        if monotonic() - begin > SECONDS:
            yield from _together(store, waiting)
            waiting, begin = [], monotonic()
    yield from _together(store, waiting)


def _together(store: Store, written: Sequence[Ending]) -> Iterator[Ending]:
    """Set the marks of all; where that fails, one by one, so that one image fails alone."""
    try:
        complete(store, [ending.mark for ending in written if ending.mark is not None])
    except Exception as error:  # one bad image never stops the others
        if len(written) > 1:
            for ending in written:
                yield from _together(store, [ending])
        else:
            yield _not_kept(store, written[0], error)
        return
    yield from (replace(ending, mark=None) for ending in written)


def _not_kept(store: Store, written: Ending, error: Exception) -> Ending:
    if written.mark is not None:
        with suppress(ResultError):  # a disk that refuses: what is left there is not complete
            store.delete(written.mark.path)
    # it was segmented, but could not be kept: not the image's own fault, so no fingerprint
    row = failed_row(written.row, reason_of(error), written.row.seconds)
    return Ending(row, detail="".join(traceback.format_exception(error)))
