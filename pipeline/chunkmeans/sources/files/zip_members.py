"""Members of zip archives, by URLs such as ``zip://a/b.tif::/data/scans.zip``.

fsspec opens the archive. It reads a member from its beginning only, and a TIFF is read here and
there, so a member is unpacked to a file without a name, which is gone when this process is.
"""

import io
import os
import weakref
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, Any

from chunkmeans.errors import SourceError
from chunkmeans.sources.load_once import LoadOnce

ARCHIVE = ".zip"
MOST_UNPACKED = 2**32
"""Bytes that one member may unpack to."""
_BLOCK = 2**20


ARCHIVES: LoadOnce[Any] = LoadOnce(8)
"""fsspec file systems of archives, which hold the table of their members."""
_members: "LoadOnce[Unpacked]" = LoadOnce(4)


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
    """A copy in a file without a name, to be read by position; closed when it is used no more."""

    def __init__(self, member: IO[bytes]) -> None:
        file = TemporaryFile(prefix="chunkmeans-")  # noqa: SIM115  it is closed with this object
        weakref.finalize(self, file.close)
        copyfileobj(member, file, _BLOCK)
        file.flush()
        self.descriptor = file.fileno()


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
