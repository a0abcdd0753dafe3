"""Completion marks of images' stores: set last, for several stores at once.

A disk writes its journal once for all that wait for it. So what is waited for is not one small
store after the other, but those that a task has written, together.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from chunkmeans.results.store.local_files import SYNC_THREADS
from chunkmeans.results.store.store import METADATA, Store

REQUESTS = 32
"""Marks that are sent to an object store at a time, which takes a while to answer each."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What makes the store of an image complete, once all else of it is on the disk."""

    path: str
    """Of the image's store, in the output."""
    text: str = field(repr=False)
    """Its metadata."""


def complete(store: Store, marks: Sequence[Mark]) -> None:
    """Sync the stores of some images to the disk, then mark them complete.

    Raises
    ------
    ResultError
        If the output cannot be written. Nothing but what is on the disk is marked then.
    """
    store.sync(*(mark.path for mark in marks))
    with ThreadPoolExecutor(SYNC_THREADS if store.folder is not None else REQUESTS) as pool:
        names = (f"{mark.path}/{METADATA}" for mark in marks)
        list(pool.map(store.write_text, names, (mark.text for mark in marks)))
