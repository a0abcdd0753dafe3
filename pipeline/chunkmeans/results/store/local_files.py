"""Files on a local disk: written whole or not at all, and safe from a loss of power once synced."""

import errno
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from typing import BinaryIO
from uuid import uuid4

PARTIAL = ".partial"
"""How the names of temporary files end, zarr's own too."""
SYNC_THREADS = 4
"""Threads that sync files: a disk writes its journal once for all that wait for it, but each
takes Python's lock from those that compute."""
BUFFER = 2**16
"""Bytes; where it is not said, Python asks whether the file is a terminal."""


def write_whole(path: str, parts: Iterable[bytes], *, synced: bool) -> None:
    """Write a file under another name and rename it; synced: name and content are on the disk."""
    temporary = f"{path}.{uuid4().hex}{PARTIAL}"
    try:
        with _new_file(temporary) as file:
            file.writelines(parts)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise
    if synced:
        _sync_folder(os.path.dirname(path))


@contextmanager
def one_at_a_time(folder: str) -> Iterator[bool]:
    """Wait until no other process of this machine is inside for the same folder.

    Nothing is left there, and who dies inside is out. Yields False where the file system cannot do
    that; processes of other machines are not waited for.
    """
    handle = _locked(folder)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            # said aloud: a copy of this process, made meanwhile, has the handle too
            fcntl.flock(handle, fcntl.LOCK_UN)
            os.close(handle)


def _locked(folder: str) -> int | None:
    try:
        os.makedirs(folder, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # the next write there raises the reason
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except BaseException as error:
        os.close(handle)
        if isinstance(error, OSError):
            return None
        raise
    return handle


def sync_under(roots: Iterable[str]) -> None:
    """Return once every file and folder under some folders is on the disk.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    syncs = chain.from_iterable(map(_below, roots))
    with ThreadPoolExecutor(SYNC_THREADS) as pool:
        while batch := list(islice(syncs, 256 * SYNC_THREADS)):
            list(pool.map(_all, (batch[part::SYNC_THREADS] for part in range(SYNC_THREADS))))


def _all(steps: Iterable[Callable[[], None]]) -> None:
    for step in steps:
        step()


def _new_file(path: str) -> BinaryIO:
    """Open a new file, making its folder if there is none."""
    try:
        return open(path, "xb", BUFFER)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return open(path, "xb", BUFFER)


def _below(root: str) -> Iterator[Callable[[], None]]:
    """Yield what syncs a folder and each file and folder below it.

    Without what a killed writer left, as it is nothing to keep; a folder that cannot be listed
    raises.
    """

    def refuse(error: OSError) -> None:
        raise error

    for folder, _, names in os.walk(root, onerror=refuse):
        yield partial(_sync_folder, folder)
        for name in names:
            if not name.endswith(PARTIAL):
                yield partial(_sync, f"{folder}/{name}")


def _sync_folder(path: str) -> None:
    try:
        _sync(path)
    except OSError as error:
        # some network file systems know no sync of folders; they keep names safe themselves
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
