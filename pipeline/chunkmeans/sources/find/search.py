"""Search through folders, globs and URLs for images, by name alone."""

import glob
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from chunkmeans.errors import ConfigError, SourceError
from chunkmeans.retry import is_transient, with_retries
from chunkmeans.sources.files.paths import PACKAGE, absolute, inside, is_url, local, placed, scheme
from chunkmeans.sources.files.zip_members import ARCHIVE
from chunkmeans.sources.find.own_outputs import (
    BESIDE,
    RUN_RECORD,
    is_record,
    looks_like_results,
    outside_results,
)
from chunkmeans.sources.registry import ZARR_METADATA, is_zarr_folder, suffixes
from chunkmeans.urls import filesystem

_MAGIC = ("*", "?", "[")


@dataclass(frozen=True, slots=True)
class Found:
    """A place that holds an image."""

    path: str
    """Absolute path or URL."""
    name: str
    """Path from the folder that was searched; of a file that was named, its base name."""

    @property
    def key(self) -> str:
        """What two mentions of the same image share."""
        return self.path


def find(path: str, storage_options: Mapping[str, Any]) -> Iterator[Found]:
    """Yield the images that one path names, in the order of their names.

    Raises
    ------
    ConfigError
        If there is none; says what was looked for, and what was there.
    """
    if path.startswith(PACKAGE):
        yield _in_package(path)
    elif is_url(path):
        plain = path.lower().endswith(ARCHIVE) and scheme(path) != "zip"
        yield from _remote(f"zip://::{path}" if plain else path, path, storage_options)
    else:
        yield from _local(absolute(path), path)


def _in_package(path: str) -> Found:
    """Return a file inside an installed package; it keeps its name, good on every machine."""
    try:
        place = local(path)
    except SourceError as error:
        raise ConfigError(f"images.path: {error}") from error
    if os.path.isdir(place) and not is_zarr_folder(place):
        raise ConfigError(f"images.path: {path} is a folder; name its files one by one")
    return Found(path, PurePosixPath(path).name)


# -- on this machine --------------------------------------------------------------------------


def _local(place: str, asked: str) -> Iterator[Found]:
    """Yield what a local path or glob names."""
    if os.path.isdir(place) and not is_zarr_folder(place):
        yield from _some(_searched(place), asked, place, lambda: _names_in(place))
    elif os.path.lexists(place):
        yield from _named(place, os.path.basename(place), asked)
    elif any(c in place for c in _MAGIC):
        root = _fixed(place)
        matches = (
            os.path.relpath(path, root)
            for path in sorted(glob.glob(place, recursive=True))
            if not os.path.isdir(path) or is_zarr_folder(path)
        )
        images = (
            found
            for name in outside_results(matches, partial(_outputs, root))
            for found in _matched(os.path.join(root, name), name, asked)
        )
        yield from _some(_plain(images), asked, root, lambda: _names_in(root))
    else:
        raise ConfigError(f"images.path: {asked!r}: no such file or folder (looked at {place})")


def _named(place: str, name: str, asked: str) -> Iterator[Found]:
    """Yield one file by its name, or the images of an archive."""
    if name.lower().endswith(ARCHIVE) and os.path.isfile(place):
        yield from _remote(f"zip://::{place}", asked, {})
    else:
        yield Found(place, name)


def _matched(place: str, name: str, asked: str) -> Iterator[Found]:
    """Yield what one match of a glob is, as `_named`.

    An archive in which none can be found is one image, to be refused with its reason: the others
    do not wait for it.
    """
    try:
        yield from _named(place, name, asked)
    except ConfigError as error:
        if is_transient(error):
            raise
        yield Found(place, name)


def _searched(root: str) -> Iterator[Found]:
    """Yield the images below a folder, in the order of their names; each folder is read once.

    What a suffix of an image names counts as one, be it a link to nowhere or a pipe: it will be
    refused with a reason. So does a folder of such a name in which no image is.
    """
    known = suffixes()
    been: set[tuple[int, int]] = set()

    def below(folder: str, prefix: str) -> Iterator[Found]:
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in been:  # a link back to where we come from
                return
            been.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as listing:
                children = sorted(listing, key=lambda child: child.name)
        except OSError as error:
            raise ConfigError(f"images.path: {folder!r} cannot be listed: {error}") from error
        if _is_output(folder, {child.name for child in children}):
            return
        for child in children:
            name = child.name
            if name.startswith("."):
                continue
            image = name.lower().endswith(known)
            if not _is_folder(child):
                if image:
                    yield Found(child.path, prefix + name)
            elif is_zarr_folder(child.path):
                yield Found(child.path, prefix + name)
            else:
                inner = below(child.path, f"{prefix}{name}/")
                first = next(inner, Found(child.path, prefix + name) if image else None)
                if first is not None:
                    yield first
                yield from inner

    yield from below(root, "")


def _is_folder(child: "os.DirEntry[str]") -> bool:
    """Whether a name is of a folder; links that go round in circles are of none."""
    try:
        return child.is_dir()
    except OSError:
        return False


def _is_output(folder: str, names: set[str]) -> bool:
    """Whether a folder that holds `names` is the output of an earlier run."""
    record = Path(folder, RUN_RECORD)
    if not looks_like_results(names) or not record.is_file():  # a pipe would wait for ever
        return False
    try:
        return is_record(record.read_bytes)
    except OSError as error:
        raise ConfigError(f"images.path: {str(record)!r} cannot be read: {error}") from error


def _outputs(root: str, folders: Iterable[str]) -> set[str]:
    """Return which of some folders below `root` are outputs; looks for a few names in each."""
    found = set()
    for folder in folders:
        place = os.path.join(root, folder)
        names = {
            name for name in (RUN_RECORD, *BESIDE) if os.path.exists(os.path.join(place, name))
        }
        if _is_output(place, names):
            found.add(folder)
    return found


def _fixed(pattern: str) -> str:
    """Return the folder of a glob that has no wildcard."""
    parts = pattern.split("/")
    count = next(i for i, part in enumerate(parts) if any(c in part for c in _MAGIC))
    return "/".join(parts[:count]) or "/"


def _plain(images: Iterable[Found]) -> Iterator[Found]:
    """Pass over hidden files, and files that a ``**`` found inside a zarr folder."""
    return (image for image in images if _is_plain(image.name))


def _is_plain(path: str) -> bool:
    """Whether a path is neither hidden nor inside a zarr folder."""
    *folders, name = path.split("/")
    check_limit = any(part.lower().endswith(".zarr") for part in folders)
    return not check_limit and not any(
        part.startswith(".") and part != ".." for part in (*folders, name)
    )


# -- behind a URL -----------------------------------------------------------------------------


def _remote(url: str, asked: str, storage_options: Mapping[str, Any]) -> Iterator[Found]:
    """Yield what a URL, or a glob of URLs, names; in an archive, what a URL of it names."""
    path = inside(url)
    name = path.rstrip("/").rsplit("/", 1)[-1]
    pattern = any(c in path for c in _MAGIC)
    if name.lower().endswith(suffixes()) and not pattern:
        yield Found(url.rstrip("/"), name)
        return

    def listing() -> tuple[Any, str, list[str]]:
        system, inner = filesystem(url, storage_options)
        root = (_fixed(inner) if pattern else inner).rstrip("/")
        walked = _in_archive if scheme(url) == "zip" else _walked
        listed = system.glob(inner) if pattern else walked(system, root)
        paths = sorted(str(path).removeprefix(root).lstrip("/") for path in listed)
        if pattern:
            paths = outside_results(filter(_is_plain, paths), partial(_outputs_at, system, root))
        return system, root, paths

    try:
        system, root, paths = with_retries(listing)
    except Exception as error:  # file systems and archives have no common one
        reason = str(error) or type(error).__name__
        raise ConfigError(f"images.path: {asked!r} cannot be listed: {reason}") from error
    images = (
        Found(
            placed(url, f"{root}/{path}" if root and path else root or path, system), path or name
        )
        for path in paths
    )
    yield from _some(_plain(images), asked, placed(url, root, system), tuple)


def _walked(system: Any, root: str) -> Iterator[str]:
    """Yield the paths of images below a folder behind a URL.

    fsspec's own walk leaves out subfolders that it fails to list; here that is an error.
    """
    known, waiting = suffixes(), [root]
    while waiting:
        folder = waiting.pop()
        children = {entry["name"].rstrip("/"): entry for entry in system.ls(folder, detail=True)}
        children.pop(folder, None)
        names = {path.rpartition("/")[2] for path in children}
        if not names.isdisjoint(ZARR_METADATA):
            yield folder
        elif not _is_output_at(system, folder, names):
            for path, entry in children.items():
                if entry["type"] != "directory":
                    if path.lower().endswith(known):
                        yield path
                elif path.lower().endswith(".zarr"):
                    yield path
                else:
                    waiting.append(path)


def _is_output_at(system: Any, folder: str, names: set[str]) -> bool:
    """Whether a folder behind a URL that holds `names` is the output of an earlier run."""
    return looks_like_results(names) and is_record(
        lambda: bytes(system.cat_file(_joined(folder, RUN_RECORD)))
    )


def _outputs_at(system: Any, root: str, folders: Sequence[str]) -> set[str]:
    """Return which of some folders below `root` are outputs; asks for all records together."""
    places = [_joined(root, folder) for folder in folders]
    records = [_joined(place, RUN_RECORD) for place in places]
    got = system.cat_ranges(records, None, None, on_error="return")

    def read(content: Any) -> bytes:
        if isinstance(content, Exception):  # most often: there is none
            raise content
        return bytes(content)

    def names(place: str) -> set[str]:
        return {path.rstrip("/").rpartition("/")[2] for path in system.ls(place, detail=False)}

    return {
        folder
        for folder, place, content in zip(folders, places, got, strict=True)
        if is_record(partial(read, content)) and looks_like_results(names(place))
    }


def _joined(folder: str, name: str) -> str:
    """Return a path behind a URL; either part may be empty."""
    return "/".join(part for part in (folder, name) if part)


def _in_archive(system: Any, root: str) -> Iterator[str]:
    """Yield the paths of images below a folder of an archive, whose table is one list."""
    known, members = suffixes(), system.find(root)
    children: dict[str, set[str]] = defaultdict(set)
    above: dict[str, list[str]] = {}
    for member in members:
        parts = member.removeprefix(root).strip("/").split("/")
        folders = [
            root,
            *(f"{root}/{'/'.join(parts[:n])}".lstrip("/") for n in range(1, len(parts))),
        ]
        above[member] = folders
        for folder, child in zip(folders, parts, strict=True):
            children[folder].add(child)
    outputs = {folder for folder, names in children.items() if _is_output_at(system, folder, names)}
    images = set()
    for member in members:
        for folder in above[member]:
            names = children[folder]
            if not names.isdisjoint(ZARR_METADATA) or folder.lower().endswith(".zarr"):
                images.add(folder)
                break
            if folder in outputs:
                break
        else:
            if member.lower().endswith(known):
                images.add(member)
    yield from images


# -- nothing there ----------------------------------------------------------------------------


def _names_in(folder: str) -> list[str]:
    """Return the names in a folder, for an error; none if it cannot be listed."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _some(
    images: Iterable[Found], asked: str, where: str, names: Callable[[], Iterable[str]]
) -> Iterator[Found]:
    """Yield `images`; that there is none is an error that says what lies there instead."""
    count = 0
    for image in images:
        count += 1
        yield image
    if count:
        return
    kinds = Counter(PurePosixPath(name).suffix.lower() or "no suffix" for name in names())
    there = ", ".join(f"{n} of {kind}" for kind, n in kinds.most_common(8))
    raise ConfigError(
        f"images.path: {asked!r}: no image is there (looked in {where}; it holds "
        f"{there or 'nothing that can be listed'}); known suffixes are {', '.join(suffixes())}; "
        "results of earlier runs are passed over"
    )
