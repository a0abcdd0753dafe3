"""Zarr arrays, versions 2 and 3, sharded or not, and OME-Zarr images, local or behind a URL.

A chunk that is not stored reads as the array's fill value: that is what zarr means by it. A
chunk that is there but damaged is an error.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from math import prod
from typing import Any, cast

import fsspec
import numpy as np
import zarr
from zarr.abc.store import Store
from zarr.codecs import BloscCodec
from zarr.storage import FsspecStore, LocalStore

from chunkmeans.errors import SourceError
from chunkmeans.image.grid import Box
from chunkmeans.image.info import ImageInfo, Pixels
from chunkmeans.sources.base import Image, within
from chunkmeans.sources.decode.axes import Layout, axes_of_names, doubt, guess_axes
from chunkmeans.sources.decode.dtypes import pixel_dtype
from chunkmeans.sources.files.byte_ranges import filesystem
from chunkmeans.sources.files.paths import described, is_url
from chunkmeans.sources.formats.zarr.checked_store import CheckedStore
from chunkmeans.sources.formats.zarr.ome import Level, multiscale_level
from chunkmeans.urls import explained

MARKS = ("zarr.json", ".zarray", ".zgroup")
GEO = ("proj:", "spatial:")
_ARRAY = re.compile(rb'"node_type"\s*:\s*"array"')
_NAMED = 20
"""Arrays of a group that an error names."""


@dataclass(frozen=True)
class _Opened:
    """A zarr array that is open in this process, and what was found on the way to it."""

    array: "zarr.Array[Any]"
    level: Level
    attributes: dict[str, Any]
    """Of the group, if any, and the array."""


class ZarrImage(Image):
    """A zarr array, or one level of an OME-Zarr image (`options.series` and `options.level`)."""

    reader = "zarr 1"

    def describe(self) -> ImageInfo:
        """Return what the metadata say; no chunk is read."""
        opened = self._opened
        array, level = opened.array, opened.level
        dtype = pixel_dtype(array.dtype)
        layout, warnings = self._layout
        what = f"its chunks are {array.chunks}, each decoded at once"
        within(self.options.limits, "piece", prod(layout.along(array.chunks)), what)
        said = len(level.scale) == array.ndim
        named = len(level.channel_names) == layout.channels
        return ImageInfo(
            axes=layout.samples,
            shape=layout.along(array.shape),
            channels=layout.channels,
            dtype=dtype,
            chunks=tuple(
                max(1, min(c, n))
                for c, n in zip(layout.along(array.chunks), layout.along(array.shape), strict=True)
            ),
            channel_names=level.channel_names if named else (),
            pixel_size=layout.along(level.scale) if said else (),
            units=layout.along(level.units) if said else (),
            tags={k: v for k, v in opened.attributes.items() if k.startswith(GEO)},
            warnings=(*level.warnings, *warnings),
        )

    def decode(self, box: Box, channels: Sequence[int]) -> Pixels:
        """Decode the chunks that the box meets; of a sharded array, only the inner chunks."""
        self._still_there()
        array, (layout, _) = self._opened.array, self._layout
        index = layout.index(box, channels)
        listed = any(isinstance(part, list) for part in index)
        block = np.asarray(
            array.oindex[cast("Any", index)] if listed else array[cast("Any", index)]
        )
        return Pixels(layout.arrange(block).astype(self.stored.dtype, copy=False))

    def fingerprint(self) -> str:
        """Hash of the names, sizes and times of every file of the array: of all its chunks."""
        with self.naming("cannot be opened"):
            digest = hashlib.blake2b(digest_size=16)
            digest.update(repr(sorted(self._opened.attributes.items())).encode())
            found = False
            for line in sorted(self._files()):
                found = True
                digest.update(line.encode("utf-8", "surrogateescape") + b"\n")
            if not found:
                raise SourceError("holds no file")
            return digest.hexdigest()

    # -- opening ------------------------------------------------------------------------------

    @cached_property
    def _opened(self) -> _Opened:
        """Open the array; kept in this process, never pickled."""
        level = Level("")
        node = self._open("")
        attributes = dict(node.attrs)
        if isinstance(node, zarr.Group):
            level = self._choose(node)
            node = self._open(level.path)
            if not isinstance(node, zarr.Array):
                raise SourceError(f"{level.path!r} in it should be an array and is a group")
            attributes |= dict(node.attrs)
        elif self.options.level or self.options.series:
            raise SourceError(
                f"level {self.options.level} of series {self.options.series} is asked, "
                "but this is a single array, which has only level 0 of series 0"
            )
        return _Opened(node, level, attributes)

    def _open(self, inner: str) -> "zarr.Array[Any] | zarr.Group":
        """Open the node at `inner` below the image's path."""
        where = f"{self.path.rstrip('/')}/{inner}" if inner else self.path
        nothing = f"no zarr array or group is at {where!r} (no {' or '.join(MARKS)})"
        if is_url(self.path):
            options = dict(self.options.storage_options)
            with explained(where, options):
                store: Store = FsspecStore.from_url(where, storage_options=options, read_only=True)
        elif any(os.path.exists(os.path.join(where, mark)) for mark in MARKS):
            store = LocalStore(where, read_only=True)
        else:
            raise SourceError(nothing)
        try:
            node = zarr.open(CheckedStore(store), mode="r", use_consolidated=False)
        except FileNotFoundError as error:
            raise SourceError(nothing) from error
        if isinstance(node, zarr.Array) and _is_blosc(node):
            return zarr.open_array(CheckedStore(store, blosc=True), mode="r")
        return node

    def _choose(self, group: zarr.Group) -> Level:
        """Which array of a group is the asked image."""
        attributes, series = dict(group.attrs), self.options.series
        inner = {**attributes, **cast("dict[str, Any]", attributes.get("ome") or {})}
        if "multiscales" not in inner and "bioformats2raw.layout" in inner:
            child = self._open(str(series))
            level = multiscale_level(dict(child.attrs), 0, self.options.level)
            if level is not None:
                return replace(level, path=f"{series}/{level.path}")
        found = multiscale_level(attributes, series, self.options.level)
        if found is not None:
            return found
        raise SourceError(f"is a zarr group without OME-Zarr metadata, not one image; {self._hint}")

    @property
    def _hint(self) -> str:
        """What to name instead of this group."""
        try:
            names = list(islice(self._arrays(), _NAMED))
        except (OSError, NotImplementedError) as error:
            return f"name one of its arrays (they cannot be listed: {error})"
        return f"name one of its arrays: {', '.join(names)}" if names else "it has no arrays"

    def _arrays(self) -> Iterator[str]:
        """Yield the names of the arrays in this group; one that zarr cannot open has a name too."""
        if is_url(self.path):
            system, root = filesystem(self.path, self.options.storage_options)
        else:
            system, root = fsspec.filesystem("file"), self.path
        for place in sorted(system.ls(root, detail=False)):
            mark = f"{place.rstrip('/')}/zarr.json"
            if system.exists(f"{place.rstrip('/')}/.zarray") or (
                system.exists(mark) and _ARRAY.search(system.cat_file(mark))
            ):
                yield place.rstrip("/").rsplit("/", 1)[-1]

    @cached_property
    def _layout(self) -> tuple[Layout, tuple[str, ...]]:
        """How the stored array is laid out, and doubts about it."""
        array, level = self._opened.array, self._opened.level
        metadata = array.metadata
        names = getattr(metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
        axes = self.options.axes or level.axes or axes_of_names(cast("Any", names))
        if axes is not None:
            return Layout(axes, array.shape), ()
        guessed = guess_axes(array.shape)
        return Layout(guessed, array.shape), doubt(array.shape, guessed)

    # -- files --------------------------------------------------------------------------------

    @property
    def _folder(self) -> str:
        """Folder or URL of the array itself."""
        inner = self._opened.level.path
        return f"{self.path.rstrip('/')}/{inner}" if inner else self.path

    def _still_there(self) -> None:
        """Refuse to read fill values out of a local array that is gone since it was opened."""
        folder = self._folder
        if is_url(folder) or any(os.path.exists(os.path.join(folder, m)) for m in MARKS):
            return
        raise SourceError("is gone since it was opened")

    def _files(self) -> Iterator[str]:
        """Yield a line for every file of the array: its name, and size and time or version."""
        folder = self._folder
        if is_url(folder):
            system, root = filesystem(folder, self.options.storage_options)
            for name, entry in system.find(root, detail=True).items():
                yield f"{name.removeprefix(root)} {described(entry)}"
            return
        for place, _, names in os.walk(folder):
            for name in names:
                found = os.stat(os.path.join(place, name))
                inside = os.path.relpath(os.path.join(place, name), folder)
                yield f"{inside} {found.st_size} {found.st_mtime_ns}"


def _is_blosc(array: "zarr.Array[Any]") -> bool:
    """Whether each stored value of an array is one Blosc buffer."""
    last = array.compressors[-1] if array.compressors and array.shards is None else None
    return isinstance(last, BloscCodec) or getattr(last, "codec_id", "") == "blosc"
