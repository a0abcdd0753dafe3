"""What an input holds: the bytes of a file, or of all files in a folder."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from chunkmeans.errors import SourceError
from chunkmeans.sources.files.byte_ranges import filesystem, open_file
from chunkmeans.sources.files.paths import is_url, local

_PIECE = 2**20

File = tuple[str, int, str]
"""Name inside an input that is a folder, bytes, and where it is."""


def content_of(paths: Iterable[str], storage_options: Mapping[str, Any]) -> str:
    """Return a hash of all bytes of some inputs; the same for a copy of them. Reads all of them.

    Raises
    ------
    OSError
        If one cannot be read.
    SourceError
        If one is neither a file nor a folder.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        digest.update(whole(path, storage_options))
    return digest.hexdigest()


def whole(path: str, options: Mapping[str, Any]) -> bytes:
    """Return a hash of all that an input holds, and of the names in it."""
    digest = hashlib.blake2b()
    for name, size, place in files(path, options):
        digest.update(f"{name!r} {size} ".encode())
        with open_file(place, options) as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
    return digest.digest()


def files(path: str, options: Mapping[str, Any]) -> list[File]:
    """Return the files of an input, in the order of their names.

    Raises
    ------
    SourceError
        If it is neither a file nor a folder.
    """
    if is_url(path):
        system, inner = filesystem(path, options)
        entry = system.info(inner)
        if entry["type"] != "directory":
            return [("", entry["size"], path)]
        found = system.find(inner, detail=True)
        return sorted(
            (name.removeprefix(inner), one["size"], str(system.unstrip_protocol(name)))
            for name, one in found.items()
        )
    path = local(path)
    if os.path.isfile(path):
        return [("", os.path.getsize(path), path)]
    if not os.path.isdir(path):
        raise SourceError(f"{path}: neither a file nor a folder")
    return sorted(_below(path))


def _below(folder: str) -> Iterator[File]:
    def refuse(error: OSError) -> None:
        raise error

    for place, _, names in os.walk(folder, onerror=refuse):
        for name in names:
            file = os.path.join(place, name)
            yield os.path.relpath(file, folder), os.path.getsize(file), file
