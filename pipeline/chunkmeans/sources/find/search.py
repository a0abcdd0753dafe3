"""Search through folders, globs, URLs and archives for images, by name alone."""

import glob
import json
import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import Any

from chunkmeans.errors import ConfigError, SourceError
from chunkmeans.retry import is_transient, with_retries
from chunkmeans.sources.files.paths import PACKAGE, absolute, inside, is_url, local, placed, scheme
from chunkmeans.sources.files.zip_members import ARCHIVE
from chunkmeans.sources.registry import ZARR_METADATA, is_zarr_folder, suffixes
from chunkmeans.urls import filesystem

_WILDCARDS = ("*", "?", "[")
RUN_RECORD = "run.json"
_BESIDE = frozenset({"catalog.csv", "images", "model.zarr"})
"""Names that a run leaves beside its record; one of them is in every output."""
_KEYS = frozenset({"fingerprint", "settings", "versions"})
"""Keys of a record, in each of its versions."""


@dataclass(frozen=True, slots=True)
class Found:
    """A place that holds an image."""

    path: str
    """Absolute path or URL."""
    name: str
    """Path from the folder that was searched; of a file that was named, its base name."""


def find(path: str, storage_options: Mapping[str, Any]) -> Iterator[Found]:
    """Yield the images that one path names, in the order of their names.

    Raises
    ------
    ConfigError
        If there is none; with what was looked for, and what was there.
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


# -- outputs of earlier runs, so that no run takes results for its inputs -------------------------


def looks_like_results(names: Collection[str]) -> bool:
    """Whether a folder that holds `names` may be an output; its record decides."""
    return RUN_RECORD in names and not _BESIDE.isdisjoint(names)


def is_record(content: bytes | Exception) -> bool:
    """Whether a ``run.json`` is ours: other programs write such a file too.

    One that cannot be read, for the reason given in its place, is not. An error that may be gone
    the next time is raised.
    """
    if isinstance(content, Exception):
        if is_transient(content):
            raise content
        return False
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.keys() >= _KEYS


def _outside_results(folders: "_Disk | _Remote", paths: Iterable[str]) -> list[str]:
    """Return what a glob found that lies below no output; each record is read once.

    The paths are seen from the root of `folders`, where the glob begins; it may be an output too.
    """
    paths = list(paths)
    found = _outputs(folders, sorted({folder for path in paths for folder in _above(path)}))
    return [path for path in paths if found.isdisjoint(_above(path))]


def _above(path: str) -> Iterator[str]:
    """Yield the folders that a path lies in, the empty one first."""
    parts = path.split("/")[:-1]
    yield from ("/".join(parts[:n]) for n in range(len(parts) + 1))


# -- folders, wherever they are ---------------------------------------------------------------


def _join(folder: str, name: str) -> str:
    """Return a path in a folder; either part may be empty."""
    return f"{folder}/{name}" if folder and name else folder or name


def _searched(
    folders: "_Disk | _Remote", known: tuple[str, ...], folder: str = ""
) -> Iterator[str]:
    """Yield the images below a folder, in the order of their names; each folder is read once.

    What has a suffix of an image counts as one, be it a link to nowhere or a pipe: it is refused
    with a reason when it is opened. So does a folder of such a name in which no image is.
    """
    children = folders.children(folder)
    if not children.keys().isdisjoint(ZARR_METADATA):
        yield folder
        return
    if looks_like_results(children.keys()) and _outputs(folders, [folder]):
        return
    for name, is_folder in children.items():
        path, image = _join(folder, name), name.lower().endswith(known)
        if name.startswith(".") and name != "..":  # members of archives may climb
            continue
        if not is_folder or name.lower().endswith(".zarr"):
            if image:
                yield path
            continue
        inner = _searched(folders, known, path)
        first = next(inner, path if image else None)
        if first is not None:
            yield first
        yield from inner


def _outputs(folders: "_Disk | _Remote", some: Sequence[str]) -> set[str]:
    """Return which of some folders are outputs of earlier runs; reads all records together."""
    found = zip(some, folders.records(some), strict=True)
    return {folder for folder, content in found if is_record(content)}


@dataclass(frozen=True)
class _Disk:
    """Folders of this machine, without a look at each file as fsspec takes it.

    Paths are seen from the root, here and in `_Remote`.
    """

    root: str
    seen: set[tuple[int, int]]
    """Folders that were listed: a link may lead back to one."""

    def children(self, folder: str) -> dict[str, bool]:
        """Return the names in a folder, sorted, and whether each is a folder itself."""
        place = os.path.join(self.root, folder)
        try:
            status = os.stat(place)
            if (status.st_dev, status.st_ino) in self.seen:
                return {}
            self.seen.add((status.st_dev, status.st_ino))
            with os.scandir(place) as listing:
                return {
                    child.name: _is_folder(child)
                    for child in sorted(listing, key=attrgetter("name"))
                }
        except OSError as error:
            raise ConfigError(f"images.path: {place!r} cannot be listed: {error}") from error

    def records(self, folders: Sequence[str]) -> list[bytes | Exception]:
        """Return `RUN_RECORD` of each folder that looks like results, or why there is none."""
        return [self._record(Path(self.root, folder, RUN_RECORD)) for folder in folders]

    def _record(self, path: Path) -> bytes | Exception:
        try:
            # Reading a pipe would wait for ever, and files of other programs are not ours to read.
            if path.is_file() and looks_like_results(os.listdir(path.parent)):
                return path.read_bytes()
        except OSError as error:
            if is_transient(error):
                raise ConfigError(f"images.path: {str(path)!r} cannot be read: {error}") from error
        return FileNotFoundError(str(path))


def _is_folder(child: "os.DirEntry[str]") -> bool:
    """Whether a name is of a folder; links that go round in circles are of none."""
    try:
        return child.is_dir()
    except OSError:
        return False


@dataclass(frozen=True)
class _Remote:
    """Folders behind a URL. fsspec's own walk passes over subfolders that it fails to list."""

    system: Any
    root: str

    def children(self, folder: str) -> dict[str, bool]:
        place = _join(self.root, folder)
        listed = {entry["name"].rstrip("/"): entry for entry in self.system.ls(place, detail=True)}
        listed.pop(place, None)
        types = {path.rpartition("/")[2]: entry["type"] for path, entry in listed.items()}
        return {name: types[name] == "directory" for name in sorted(types)}

    def records(self, folders: Sequence[str]) -> list[bytes | Exception]:
        places = [_join(_join(self.root, folder), RUN_RECORD) for folder in folders]
        found = self.system.cat_ranges(places, None, None, on_error="return")
        return [
            content
            if isinstance(content, Exception) or looks_like_results(self.children(folder).keys())
            else FileNotFoundError(folder)
            for folder, content in zip(folders, found, strict=True)
        ]


class _Archive(_Remote):
    """Folders of an archive; its table is one list, which fsspec goes through for each folder."""

    @cached_property
    def _tree(self) -> dict[str, dict[str, bool]]:
        tree: dict[str, dict[str, bool]] = defaultdict(dict)
        for member in self.system.find(self.root):
            parts = member.removeprefix(self.root).strip("/").split("/")
            for n, name in enumerate(parts):
                tree["/".join(parts[:n])][name] = n < len(parts) - 1
        return tree

    def children(self, folder: str) -> dict[str, bool]:
        return dict(sorted(self._tree[folder].items()))


# -- on this machine --------------------------------------------------------------------------


def _local(place: str, asked: str) -> Iterator[Found]:
    """Yield what a local path or glob names."""
    if os.path.isdir(place) and not is_zarr_folder(place):
        names = _searched(_Disk(place, set()), suffixes())
        images = (Found(os.path.join(place, name), name) for name in names)
        yield from _some(images, asked, place)
    elif os.path.lexists(place):
        yield from _named(place, os.path.basename(place), asked)
    elif any(c in place for c in _WILDCARDS):
        root = _fixed(place)
        matches = (
            os.path.relpath(path, root)
            for path in sorted(glob.glob(place, recursive=True))
            if not os.path.isdir(path) or is_zarr_folder(path)
        )
        images = (
            found
            for name in _outside_results(_Disk(root, set()), matches)
            for found in _matched(os.path.join(root, name), name, asked)
            if _is_plain(found.name)
        )
        yield from _some(images, asked, root)
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

    An archive in which none can be found is one image, refused with its reason when it is opened,
    so that the others are segmented.
    """
    try:
        yield from _named(place, name, asked)
    except ConfigError as error:
        if is_transient(error):
            raise
        yield Found(place, name)


def _fixed(pattern: str) -> str:
    """Return the folder of a glob that has no wildcard."""
    fixed = takewhile(lambda part: not any(c in part for c in _WILDCARDS), pattern.split("/"))
    return "/".join(fixed) or "/"


def _is_plain(path: str) -> bool:
    """Whether a path is neither hidden nor inside a zarr folder, as a ``**`` may find it."""
    *folders, name = path.split("/")
    in_zarr = any(part.lower().endswith(".zarr") for part in folders)
    return not in_zarr and not any(
        part.startswith(".") and part != ".." for part in (*folders, name)
    )


# -- behind a URL -----------------------------------------------------------------------------


def _remote(url: str, asked: str, storage_options: Mapping[str, Any]) -> Iterator[Found]:
    """Yield what a URL, or a glob of URLs, names; in an archive, what a URL of it names."""
    path = inside(url)
    name = path.rstrip("/").rsplit("/", 1)[-1]
    pattern = any(c in path for c in _WILDCARDS)
    known = suffixes()
    if name.lower().endswith(known) and not pattern:
        yield Found(url.rstrip("/"), name)
        return

    def listing() -> tuple[Any, str, list[str]]:
        system, inner = filesystem(url, storage_options)
        root = (_fixed(inner) if pattern else inner).rstrip("/")
        if not pattern:
            kind = _Archive if scheme(url) == "zip" else _Remote
            return system, root, sorted(_searched(kind(system, root), known))
        found = sorted(str(path).removeprefix(root).lstrip("/") for path in system.glob(inner))
        return system, root, _outside_results(_Remote(system, root), filter(_is_plain, found))

    try:
        system, root, paths = with_retries(listing)
    except Exception as error:  # file systems and archives have no common one
        reason = str(error) or type(error).__name__
        raise ConfigError(f"images.path: {asked!r} cannot be listed: {reason}") from error
    images = (
        Found(placed(url, _join(root, path), system), path or name)
        for path in paths
        if _is_plain(path or name)
    )
    yield from _some(images, asked, placed(url, root, system))


# -- nothing there ----------------------------------------------------------------------------


def _some(images: Iterable[Found], asked: str, where: str) -> Iterator[Found]:
    """Yield `images`; that there is none is an error that names what lies there instead."""
    image = None
    for image in images:
        yield image
    if image is not None:
        return
    try:
        names = os.listdir(where)
    except OSError:  # of a URL, too
        names = []
    kinds = Counter(PurePosixPath(name).suffix.lower() or "no suffix" for name in names)
    there = ", ".join(f"{n} of {kind}" for kind, n in kinds.most_common(8))
    raise ConfigError(
        f"images.path: {asked!r}: no image is there (looked in {where}; it holds "
        f"{there or 'nothing that can be listed'}); known suffixes are {', '.join(suffixes())}; "
        "results of earlier runs are passed over"
    )
