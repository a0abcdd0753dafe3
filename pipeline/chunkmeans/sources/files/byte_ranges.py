"""Ranges of bytes of a local file or a URL, without a shared seek position."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from chunkmeans import urls
from chunkmeans.errors import SourceError
from chunkmeans.sources.files.paths import entry_fingerprint, is_url, scheme
from chunkmeans.sources.files.zip_members import ARCHIVES, open_member, unpacked

Fetch = Callable[[Sequence[tuple[int, int]]], Iterator[bytes]]
"""Yields the bytes of each (start, stop), in order; all of them or a `SourceError`."""

_BATCH = 32
"""Ranges that are requested together from a URL, and are in memory together."""


def source_filesystem(path: str, storage_options: Mapping[str, Any]) -> tuple[Any, str]:
    """Return the fsspec file system of a URL, and the path in it.

    Of an archive the table of members is read once, as long as the archive is the same.
    """
    if not _in_archive(path):
        return urls.filesystem(path, storage_options)
    member, _, archive = path.partition("::")
    key = (archive, file_fingerprint(archive, storage_options), repr(storage_options))
    fs = ARCHIVES.get(key, lambda: urls.filesystem(path, storage_options)[0])
    return fs, fs._strip_protocol(member)


def _in_archive(path: str) -> bool:
    """Whether a URL is of a member of a zip archive."""
    return scheme(path) == "zip" and "::" in path


def file_fingerprint(path: str, storage_options: Mapping[str, Any]) -> str:
    """Return a text that changes when the file does: its size and time of change or ETag.

    Raises
    ------
    OSError
        If there is no such file.
    """
    if not is_url(path):
        stat = os.stat(path)
        return f"{stat.st_size} bytes, {stat.st_mtime_ns} ns"
    fs, inner = source_filesystem(path, storage_options)
    entry = fs.info(inner)
    if entry["type"] == "directory":
        raise IsADirectoryError(f"{path}: is a folder, not a file")
    return entry_fingerprint(entry)


def open_file(path: str, storage_options: Mapping[str, Any]) -> BinaryIO:
    """Open for reading headers: seekable, cached in blocks where it is a URL."""
    if not is_url(path):
        return open(path, "rb")
    fs, inner = source_filesystem(path, storage_options)
    if _in_archive(path):
        return cast("BinaryIO", open_member(fs, inner, path))
    return cast("BinaryIO", fs.open(inner, "rb", block_size=2**18, cache_type="blockcache"))


@contextmanager
def fetching(path: str, storage_options: Mapping[str, Any]) -> Iterator[Fetch]:
    """Give a function that reads ranges of `path`. Safe in threads: nothing is shared."""
    if _in_archive(path):
        member = unpacked(*source_filesystem(path, storage_options), path)
        yield _positioned(path, member.descriptor)
    elif is_url(path):
        fs, inner = source_filesystem(path, storage_options)

        def behind_url(ranges: Sequence[tuple[int, int]]) -> Iterator[bytes]:
            for first in range(0, len(ranges), _BATCH):
                batch = ranges[first : first + _BATCH]
                starts, stops = [a for a, _ in batch], [b for _, b in batch]
                parts = fs.cat_ranges([inner] * len(batch), starts, stops, on_error="raise")
                for (start, stop), part in zip(batch, parts, strict=True):
                    yield _complete(path, bytes(part), start, stop)

        yield behind_url
    else:
        with open(path, "rb", buffering=0) as file:
            yield _positioned(path, file.fileno())


def _positioned(path: str, descriptor: int) -> Fetch:
    """Return a function that reads ranges of an open file."""

    def local(ranges: Sequence[tuple[int, int]]) -> Iterator[bytes]:
        for start, stop in ranges:
            part = os.pread(descriptor, stop - start, start)
            while len(part) < stop - start:  # one call gives at most 2 GiB
                more = os.pread(descriptor, stop - start - len(part), start + len(part))
                if not more:
                    break
                part += more
            yield _complete(path, part, start, stop)

    return local


def _complete(path: str, part: bytes, start: int, stop: int) -> bytes:
    """Return `part`, which has to hold the bytes from `start` to `stop`."""
    if len(part) < stop - start:
        raise SourceError(
            f"{path}: cut short: bytes {start} to {stop} were requested, only {len(part)} are there"
        )
    if len(part) > stop - start:
        raise SourceError(
            f"{path}: bytes {start} to {stop} were requested, {len(part)} came: the server "
            "does not serve ranges of bytes; copy the file, or put filecache:: before its URL"
        )
    return part
