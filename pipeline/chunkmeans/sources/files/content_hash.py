"""Identity of inputs: by sizes and times of change, or by a hash of all bytes.

An input is a file or a folder, local or behind a URL.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from chunkmeans.errors import SourceError
from chunkmeans.sources.files.byte_ranges import file_fingerprint, open_file, source_filesystem
from chunkmeans.sources.files.paths import entry_fingerprint, is_url, local

_PIECE = 2**20


class InputFile(NamedTuple):
    """A file of an input."""

    name: str
    """Path inside an input that is a folder; empty where the input is the file."""
    size: int
    """Bytes."""
    path: str
    """Where it is."""
    fingerprint: str = ""
    """Size and time of change or version, of a file in a folder."""


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
        digest.update(input_hash(path, storage_options))
    return digest.hexdigest()


def input_hash(path: str, options: Mapping[str, Any]) -> bytes:
    """Return a hash of all bytes of an input, and of the names of its files."""
    digest = hashlib.blake2b()
    for name, size, place, _ in input_files(path, options):
        digest.update(f"{name!r} {size} ".encode())
        with open_file(place, options) as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
    return digest.digest()


def path_fingerprint(path: str, options: Mapping[str, Any]) -> str:
    """Return a text that changes when a file, or any file in a folder, does; reads no content.

    Raises
    ------
    OSError
        If nothing is there.
    """
    try:
        if os.path.isdir(path):
            raise IsADirectoryError
        return file_fingerprint(path, options)
    except IsADirectoryError:
        return folder_fingerprint(path, options)


def folder_fingerprint(folder: str, options: Mapping[str, Any], metadata: str = "") -> str:
    """Return a hash of `metadata`, and of names, sizes and times of all files of a folder.

    Raises
    ------
    SourceError
        If it holds no file.
    """
    digest = hashlib.blake2b(metadata.encode(), digest_size=16)
    lines = sorted(f"{file.name} {file.fingerprint}" for file in folder_files(folder, options))
    if not lines:
        raise SourceError("holds no file")
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()


def input_files(path: str, options: Mapping[str, Any]) -> list[InputFile]:
    """Return the files of an input, in the order of their names.

    Raises
    ------
    SourceError
        If it is neither a file nor a folder.
    """
    if is_url(path):
        system, inner = source_filesystem(path, options)
        entry = system.info(inner)
        if entry["type"] != "directory":
            return [InputFile("", entry["size"], path)]
    else:
        path = local(path)
        if os.path.isfile(path):
            return [InputFile("", os.path.getsize(path), path)]
        if not os.path.isdir(path):
            raise SourceError(f"{path}: neither a file nor a folder")
    return sorted(folder_files(path, options))


def folder_files(folder: str, options: Mapping[str, Any]) -> Iterator[InputFile]:
    """Yield all files below a folder.

    Raises
    ------
    OSError
        If a folder cannot be listed.
    """
    if is_url(folder):
        system, root = source_filesystem(folder, options)
        for path, entry in system.find(root, detail=True).items():
            url = str(system.unstrip_protocol(path))
            yield InputFile(path.removeprefix(root), entry["size"], url, entry_fingerprint(entry))
        return

    def refuse(error: OSError) -> None:
        raise error

    for place, _, names in os.walk(folder, onerror=refuse):
        for name in names:
            path = os.path.join(place, name)
            status = os.stat(path)
            fingerprint = f"{status.st_size} {status.st_mtime_ns}"
            yield InputFile(os.path.relpath(path, folder), status.st_size, path, fingerprint)
