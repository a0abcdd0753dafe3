"""Which source reads which file: by scheme, by first bytes, by suffix.

A source is one line of `SOURCES`. Another package adds one by an entry point of the group
``chunkmeans.sources`` whose name is the suffix without its dot (``czi``), or a scheme
(``omero://``), and whose value is a class or a function ``(path, options) -> Image``. Installed
ones come before our own. Nothing of a format is imported before a file of it is opened.
"""

import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from inspect import isclass
from pathlib import Path
from pkgutil import resolve_name
from typing import cast

from chunkmeans.errors import ConfigError, SourceError
from chunkmeans.seam import check_member
from chunkmeans.secrets import PASSWORD, holds_password
from chunkmeans.sources.base import Image, ReadOptions
from chunkmeans.sources.files.paths import inside, is_url, local, scheme
from chunkmeans.sources.files.zip_members import ARCHIVE
from chunkmeans.urls import filesystem

Opener = Callable[[str, ReadOptions | None], Image]
GROUP = "chunkmeans.sources"


@dataclass(frozen=True)
class Source:
    """A family of formats and the class that reads it."""

    name: str
    """Where the class is: ``module:class``; imported when first needed."""
    suffixes: tuple[str, ...]
    """Suffixes of its files, lower case, with the dot."""
    start: bytes = b"(?!)"
    """What its files begin with, a regular expression; nothing, unless given."""

    def load(self) -> Opener:
        """Import the class."""
        return cast("Opener", resolve_name(self.name))


SOURCES = (
    Source(
        "chunkmeans.sources.formats.tiff.image:TiffImage",
        (".tif", ".tiff", ".btf", ".tf2", ".tf8", ".svs", ".ndpi", ".scn", ".qptiff"),
        rb"II[*+]\0|MM\0[*+]",
    ),
    Source("chunkmeans.sources.formats.zarr.image:ZarrImage", (".zarr",)),
    Source("chunkmeans.sources.formats.png:PngImage", (".png", ".apng"), rb"\x89PNG\r\n\x1a\n"),
    Source(
        "chunkmeans.sources.formats.pillow:RasterImage",
        (".jpg", ".jpeg", ".jpe", ".webp", ".bmp", ".gif"),
        rb"\xff\xd8\xff|RIFF....WEBP|GIF8[79]a|BM....\0{4}",
    ),
    Source("chunkmeans.sources.formats.npy:NpyImage", (".npy",), rb"\x93NUMPY"),
)
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
"""What a path may name that is no file, by its kind in `stat`."""
_ZARR = next(source for source in SOURCES if ".zarr" in source.suffixes)
ZARR_METADATA = ("zarr.json", ".zarray", ".zgroup")


def suffixes() -> tuple[str, ...]:
    """Every suffix that can be read, installed sources included, in alphabetical order."""
    own = (suffix for source in SOURCES for suffix in source.suffixes)
    added = (f".{name}" for name in _installed() if not name.endswith("://"))
    return tuple(sorted({*own, *added}))


def open_image(path: str, options: ReadOptions | None = None) -> Image:
    """Return the image at `path`; no pixel is decoded, at most its first bytes are read.

    Parameters
    ----------
    path
        A file or a zarr folder, a URL that fsspec opens, or ``package://<package>/<path>`` for a
        file inside an installed Python package. A local file's first bytes decide where its
        suffix lies.
    options
        What to read of it.

    Raises
    ------
    SourceError
        If nothing is there, or nothing can read it.
    """
    if holds_password(path):
        raise SourceError(f"a URL {PASSWORD}")
    installed = _installed()
    if (kind := scheme(path)) and f"{kind}://" in installed:
        return _load(installed[f"{kind}://"])(path, options)
    if not is_url(path):
        path = local(path)
    lower = (inside(path) if is_url(path) else path).rstrip("/").lower()
    for name, point in installed.items():
        if lower.endswith(f".{name}"):
            return _load(point)(path, options)
    return _source(path, lower).load()(path, options)


def is_zarr_folder(folder: str) -> bool:
    """Whether a folder is a zarr store, and so one image: by its suffix or by its metadata."""
    return folder.lower().endswith(".zarr") or has_zarr_metadata(folder)


def has_zarr_metadata(folder: str) -> bool:
    """Whether a folder is a zarr array or group."""
    return any(os.path.exists(os.path.join(folder, mark)) for mark in ZARR_METADATA)


def _source(path: str, lower: str) -> Source:
    """Which of our own sources reads `path`."""
    if not is_url(path):
        place = Path(path)
        if place.is_dir():
            if is_zarr_folder(path.rstrip("/")):
                return _ZARR
            raise SourceError(f"{path}: is a folder without zarr metadata, not one image")
        found = _by_first_bytes(place)
        if found is not None:
            return found
    for source in SOURCES:
        if lower.endswith(source.suffixes):
            return source
    if is_url(path) and (".zarr/" in lower or "." not in lower.rpartition("/")[2]):
        return _ZARR  # an array inside a store, or a folder: what else could it be
    if not is_url(path) and lower.endswith(ARCHIVE):
        raise SourceError(f"{path}: {_why_none_of(path)}")
    raise SourceError(
        f"{path}: no source reads this kind of file; known suffixes are {', '.join(suffixes())}"
    )


def _why_none_of(archive: str) -> str:
    """Why an archive is not one image, and what is wrong with it if something is."""
    try:
        system, inner = filesystem(f"zip://::{archive}", {})
        system.find(inner)
    except Exception as error:  # archives have no common one
        return f"cannot be listed: {error or type(error).__name__}"
    return (
        f"is an archive, not one image; known suffixes of images in it are {', '.join(suffixes())}"
    )


def _by_first_bytes(path: Path) -> Source | None:
    """Which source reads files with the first bytes of a local file, if any."""
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
        if kind != stat.S_IFREG:  # opening a pipe would wait for ever
            raise SourceError(f"{path}: is {_KINDS.get(kind, 'something else')}, not a file")
        with path.open("rb", buffering=0) as file:
            head = file.read(16)
    except FileNotFoundError:
        if path.is_symlink():
            raise SourceError(f"{path}: is a link to {os.readlink(path)}, which is gone") from None
        raise SourceError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: cannot be opened: {error}") from error
    return next((s for s in SOURCES if re.match(s.start, head, re.DOTALL)), None)


@cache
def _installed() -> dict[str, EntryPoint]:
    """Entry points of other packages by suffix without dot, or by scheme; longest first."""
    points = {point.name.lower(): point for point in entry_points(group=GROUP)}
    return dict(sorted(points.items(), key=lambda item: (-len(item[0]), item[0])))


def _load(point: EntryPoint) -> Opener:
    """Import an installed source."""
    place = f"the installed source {point.value!r} for {point.name!r}"
    try:
        found = point.load()
    except Exception as error:
        raise SourceError(f"{place} cannot be imported: {error}") from error
    if isclass(found):  # else a function that returns an image
        try:
            check_member(found, Image, place)
        except ConfigError as error:
            raise SourceError(str(error)) from error
    return cast("Opener", found)
