"""Members of zip archives, by URLs such as ``zip://a/b.tif::/data/scans.zip``.

fsspec opens the archive. It reads a member from its beginning only, and a TIFF is read here and
there, so a member is unpacked to a file without a name, which is gone when this process is.
"""

import io
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from tempfile import TemporaryFile
from typing import IO, Any, Generic, TypeVar

from chunkmeans.errors import SourceError

ARCHIVE = ".zip"
MOST_UNPACKED = 2**32
"""Bytes that one member may unpack to."""
_ARCHIVES, _MEMBERS = 8, 4
"""Archives that a process keeps open, and members that it keeps unpacked."""
_BLOCK = 2**20

Kept = TypeVar("Kept")


class _Latest(Generic[Kept]):
    """The values of a process that were used last, by what they were made of."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, threading.Lock()
        self._values: OrderedDict[Any, Kept] = OrderedDict()

    def get(self, key: Any, make: Callable[[], Kept]) -> Kept:
        """Return the value of `key`; two threads may make the same one at the same time."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            self._values[key] = value
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        return value


archives: _Latest[Any] = _Latest(_ARCHIVES)
"""fsspec file systems of archives, which keep the table of their members."""
_members: "_Latest[Unpacked]" = _Latest(_MEMBERS)


def unpacked(system: Any, inner: str, path: str) -> "Unpacked":
    """Return a member, unpacked.

    Raises
    ------
    SourceError
        If it unpacks to more than `MOST_UNPACKED`.
    """
    entry = system.info(inner)
    size = entry["size"]
    if size > MOST_UNPACKED:
        raise SourceError(
            f"{path}: unpacks to {size:,} bytes, {MOST_UNPACKED:,} are allowed of a member of an "
            "archive; unpack the archive first"
        )

    def unpack() -> "Unpacked":
        with system.open(inner, "rb") as member:
            return Unpacked(member)

    return _members.get((path, size, entry.get("CRC")), unpack)


class Unpacked:
    """A copy in a file without a name, to be read by position; closed when nobody has it."""

    def __init__(self, member: IO[bytes]) -> None:
        with TemporaryFile(prefix="chunkmeans-") as file:
            while block := member.read(_BLOCK):
                file.write(block)
            file.flush()
            self.descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self.descriptor)


def open_member(system: Any, inner: str, path: str) -> io.BufferedReader:
    """Open a member for reading; seeks are cheap."""
    return io.BufferedReader(_Positioned(unpacked(system, inner, path)))


class _Positioned(io.RawIOBase):
    """A position of one's own in a file that several threads read."""

    def __init__(self, file: Unpacked) -> None:
        super().__init__()
        self._file, self._at = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        descriptor = self._file.descriptor
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: os.fstat(descriptor).st_size}
        if base[whence] + offset < 0:
            raise ValueError(f"cannot seek to {base[whence] + offset}")
        self._at = base[whence] + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = os.pread(self._file.descriptor, len(buffer), self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
