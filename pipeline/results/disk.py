"""Files on a local disk: written whole or not at all, and safe from a loss of power once synced."""

import errno
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from typing import BinaryIO
from uuid import uuid4

PARTIAL = ".partial"
"""How the names of temporary files end, zarr's own too."""
AT_ONCE = 32
"""Files that are synced: a disk writes its journal once for all that wait for it."""


def write_whole(path: str, parts: Iterable[bytes], *, synced: bool) -> None:
    """Write a file under another name and rename it; synced: name and content are on the disk."""
    partial = f"{path}.{uuid4().hex}{PARTIAL}"
    try:
        with _new_file(partial) as file:
            file.writelines(parts)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        if os.path.lexists(partial):
            os.unlink(partial)
        raise
    if synced:
        _sync_folder(os.path.dirname(path))


def sync_under(roots: Iterable[str]) -> None:
    """Return once every file and folder under some folders is on the disk.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    folders = list(roots)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for sync, under in ((_sync, _files), (_sync_folder, _folders)):
            paths = chain.from_iterable(map(under, folders))
            while batch := list(islice(paths, 64 * AT_ONCE)):
                list(pool.map(sync, batch))


def _new_file(path: str) -> BinaryIO:
    """Open a new file, making its folder if there is none."""
    try:
        return open(path, "xb")
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return open(path, "xb")


def _walk(root: str) -> Iterator[tuple[str, list[str]]]:
    """Yield a folder and all under it, with the files in each; one that cannot be listed raises."""

    def refuse(error: OSError) -> None:
        raise error

    for folder, _, names in os.walk(root, onerror=refuse):
        yield folder, names


def _files(root: str) -> Iterator[str]:
    """Yield the files under a folder, without what a killed writer left: it is nothing to keep."""
    for folder, names in _walk(root):
        yield from (os.path.join(folder, name) for name in names if not name.endswith(PARTIAL))


def _folders(root: str) -> Iterator[str]:
    """Yield a folder and all under it."""
    return (folder for folder, _ in _walk(root))


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
