"""Search through folders, globs and URLs for images, by name alone."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import fsspec

from pipeline.errors import ConfigError, SourceError
from pipeline.sources.location import PACKAGE, is_url, local
from pipeline.sources.registry import ZARR_MARKS, is_zarr_folder, suffixes

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
        yield from _remote(path, storage_options)
    else:
        yield from _local(os.path.abspath(os.path.expanduser(local(path))), path)


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
    if os.path.isfile(place) or (os.path.isdir(place) and is_zarr_folder(place)):
        yield Found(place, os.path.basename(place))
    elif os.path.isdir(place):
        yield from _some(_searched(place), asked, place, os.listdir(place))
    elif any(c in place for c in _MAGIC):
        root = _fixed(place)
        names = sorted(glob.glob(place, recursive=True))
        images = [
            Found(name, os.path.relpath(name, root))
            for name in names
            if os.path.isfile(name) or (os.path.isdir(name) and is_zarr_folder(name))
        ]
        outside = _plain(images)
        yield from _some(outside, asked, root, os.listdir(root) if os.path.isdir(root) else ())
    else:
        raise ConfigError(f"images.path: {asked!r}: no such file or folder (looked at {place})")


def _searched(root: str) -> Iterator[Found]:
    """Yield the images below a folder, in the order of their names; each folder is read once."""
    known = suffixes()
    been: set[tuple[int, int]] = set()

    def below(folder: str, prefix: str) -> Iterator[Found]:
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in been:  # a link back to where we come from
            return
        been.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as listing:
            children = sorted(listing, key=lambda child: child.name)
        if is_results({child.name for child in children}):
            return
        for child in children:
            if child.name.startswith("."):
                continue
            if child.is_dir():
                if is_zarr_folder(child.path):
                    yield Found(child.path, prefix + child.name)
                else:
                    yield from below(child.path, f"{prefix}{child.name}/")
            elif child.name.lower().endswith(known) and child.is_file():
                yield Found(child.path, prefix + child.name)

    yield from below(root, "")


def is_results(names: set[str]) -> bool:
    """Whether a folder that holds `names` is the output of an earlier run."""
    return "run.json" in names and bool(names & {"catalog.csv", "images", "model.zarr"})


def _fixed(pattern: str) -> str:
    """Return the folder of a glob that has no wildcard."""
    parts = pattern.split("/")
    count = next(i for i, part in enumerate(parts) if any(c in part for c in _MAGIC))
    return "/".join(parts[:count]) or "/"


def _plain(images: Iterable[Found]) -> Iterator[Found]:
    """Pass over hidden files, and files that a ``**`` found inside a zarr folder."""
    for image in images:
        *folders, name = image.name.split("/")
        inside = any(part.lower().endswith(".zarr") for part in folders)
        if not inside and not any(part.startswith(".") for part in (*folders, name)):
            yield image


# -- behind a URL -----------------------------------------------------------------------------


def _remote(url: str, storage_options: Mapping[str, Any]) -> Iterator[Found]:
    """Yield what a URL, or a glob of URLs, names."""
    name = url.rstrip("/").rsplit("/", 1)[-1]
    pattern = any(c in url for c in _MAGIC)
    if name.lower().endswith(suffixes()) and not pattern:
        yield Found(url.rstrip("/"), name)
        return
    try:
        system, inner = fsspec.core.url_to_fs(url, **storage_options)
        root = _fixed(inner) if pattern else inner
        listed = system.glob(inner) if pattern else _walked(system, inner)
        paths = sorted(str(path).removeprefix(root).lstrip("/") for path in listed)
    except (OSError, ImportError, ValueError, NotImplementedError) as error:
        raise ConfigError(f"images.path: {url!r} cannot be listed: {error}") from error
    base = system.unstrip_protocol(root.rstrip("/"))
    images = (Found(f"{base}/{path}" if path else base, path or name) for path in paths)
    yield from _some(_plain(images), url, base, ())


def _walked(system: Any, root: str) -> Iterator[str]:
    """Yield the paths of images below a folder behind a URL.

    fsspec's own walk leaves out subfolders that it fails to list; here that is an error.
    """
    known, waiting = suffixes(), [root.rstrip("/")]
    while waiting:
        folder = waiting.pop()
        children = {entry["name"].rstrip("/"): entry for entry in system.ls(folder, detail=True)}
        children.pop(folder, None)
        names = {path.rpartition("/")[2] for path in children}
        if not names.isdisjoint(ZARR_MARKS):
            yield folder
        elif not is_results(names):
            for path, entry in children.items():
                if entry["type"] != "directory":
                    if path.lower().endswith(known):
                        yield path
                elif path.lower().endswith(".zarr"):
                    yield path
                else:
                    waiting.append(path)


# -- nothing there ----------------------------------------------------------------------------


def _some(images: Iterable[Found], asked: str, where: str, names: Iterable[str]) -> Iterator[Found]:
    """Yield `images`; that there is none is an error that says what lies there instead."""
    count = 0
    for image in images:
        count += 1
        yield image
    if count:
        return
    kinds = Counter(PurePosixPath(name).suffix.lower() or "no suffix" for name in names)
    there = ", ".join(f"{n} of {kind}" for kind, n in kinds.most_common(8))
    raise ConfigError(
        f"images.path: {asked!r}: no image is there (looked in {where}; it holds "
        f"{there or 'nothing that can be listed'}); known suffixes are {', '.join(suffixes())}"
    )
