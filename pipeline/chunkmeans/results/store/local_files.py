"""Files on a local disk: written whole or not at all, and safe from a loss of power once synced."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

PARTIAL = ".partial"
"""How the names of temporary files end, zarr's own too."""
SYNC_THREADS = 4
"""Threads that sync files: a disk writes its journal once for all that wait for it, but each
takes Python's lock from those that compute."""
BUFFER = 2**16
"""Bytes; where it is not said, Python asks whether the file is a terminal."""


class LocalFiles:
    """What an output asks of a local disk; as `ObjectStore`, but each name is a path."""

    def kind(self, path: str) -> str:
        """Return ``file``, ``directory``, or nothing if nothing is there."""
        return "directory" if Path(path).is_dir() else "file" if Path(path).exists() else ""

    def get(self, path: str) -> bytes:
        """Return the bytes of a file."""
        return Path(path).read_bytes()

    def put(self, path: str, data: bytes) -> None:
        """Write a file, whole or not at all; on the disk after `sync_under`."""
        write_whole(path, (data,), synced=False)

    def put_parts(self, path: str, parts: Iterable[bytes]) -> None:
        """Write a file, whole or not at all, safe from a loss of power."""
        write_whole(path, parts, synced=True)

    def create(self, path: str, data: bytes) -> bool:
        """Write a file that is not there; False if it is. Of several at once one succeeds."""
        try:
            with _new_file(path) as file:
                file.write(data)
        except FileExistsError:
            return False
        return True

    def files(self, path: str) -> list[str]:
        """Return the paths of all files below a folder, relative to it, sorted."""
        above = f"{path.rstrip('/')}/"
        return sorted(
            os.path.join(folder, file).removeprefix(above)
            for folder, _, files in os.walk(path)
            for file in files
        )

    def missing(self, path: str, files: Sequence[str]) -> list[str]:
        """Return those of `files`, which should be below a folder, that are not there."""
        return [file for file in files if not os.path.isfile(f"{path}/{file}")]

    def names(self, path: str) -> list[str]:
        """Return the names of what lies directly in a folder, sorted."""
        return sorted(os.listdir(path)) if os.path.isdir(path) else []

    def delete(self, path: str, first: str) -> None:
        """Delete a file, or a folder; of this the file of the name `first` at first."""
        if os.path.isdir(path):
            Path(path, first).unlink(missing_ok=True)
            shutil.rmtree(path)
        else:
            Path(path).unlink(missing_ok=True)


@contextmanager
def replacing(path: str) -> Iterator[str]:
    """Yield a temporary name; what is written there is renamed, or deleted where that fails."""
    temporary = f"{path}.{uuid4().hex}{PARTIAL}"
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def write_whole(path: str, parts: Iterable[bytes], *, synced: bool) -> None:
    """Write a file under another name and rename it; synced: name and content are on the disk."""
    with replacing(path) as temporary, _new_file(temporary) as file:
        file.writelines(parts)
        if synced:
            file.flush()
            os.fsync(file.fileno())
    if synced:
        sync_path(os.path.dirname(path))


@contextmanager
def one_at_a_time(folder: str) -> Iterator[bool]:
    """Wait until no other process of this machine is inside for the same folder.

    Nothing is left there, and who dies inside is out. Yields False where the file system cannot do
    that; processes of other machines are not waited for.
    """
    with ExitStack() as stack:
        try:
            os.makedirs(folder, exist_ok=True)
            handle = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX)
            # said aloud: a copy of this process, made meanwhile, has the handle too
            stack.callback(fcntl.flock, handle, fcntl.LOCK_UN)
            locked = True
        except OSError:  # the next write there raises the reason
            locked = False
        yield locked


def sync_under(roots: Iterable[str]) -> None:
    """Return once every file and folder under some folders is on the disk.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    paths = (path for root in roots for path in _below(root))
    with ThreadPoolExecutor(SYNC_THREADS) as pool:
        while batch := list(islice(paths, 256 * SYNC_THREADS)):
            list(pool.map(_sync_all, (batch[part::SYNC_THREADS] for part in range(SYNC_THREADS))))


def _sync_all(paths: Iterable[str]) -> None:
    for path in paths:
        sync_path(path)


def _new_file(path: str) -> BinaryIO:
    """Open a new file, making its folder if there is none."""
    try:
        return open(path, "xb", BUFFER)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return open(path, "xb", BUFFER)


def _below(root: str) -> Iterator[str]:
    """Yield a folder and each file and folder below it.

    Without what a killed writer left, as it is nothing to keep; a folder that cannot be listed
    raises.
    """

    def refuse(error: OSError) -> None:
        raise error

    for folder, _, names in os.walk(root, onerror=refuse):
        yield folder
        yield from (f"{folder}/{name}" for name in names if not name.endswith(PARTIAL))


def sync_path(path: str) -> None:
    """Return once a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # some network file systems know no sync of folders; they keep names safe themselves
        if error.errno not in (errno.EINVAL, errno.ENOTSUP) or not os.path.isdir(path):
            raise
    finally:
        os.close(handle)
