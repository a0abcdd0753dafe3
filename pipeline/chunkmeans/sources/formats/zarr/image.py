"""Zarr arrays, versions 2 and 3, sharded or not, and OME-Zarr images, local or behind a URL.

A chunk that is not stored reads as the array's fill value: that is what zarr means by it. A
chunk that is there but damaged is an error.
"""

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
from chunkmeans.sources.base import Image, check_limit
from chunkmeans.sources.decode.axes import ArrayLayout, axes_of_names
from chunkmeans.sources.decode.dtypes import pixel_dtype
from chunkmeans.sources.files.byte_ranges import source_filesystem
from chunkmeans.sources.files.content_hash import folder_fingerprint
from chunkmeans.sources.files.paths import is_url
from chunkmeans.sources.formats.zarr.checked_store import CheckedStore
from chunkmeans.sources.formats.zarr.ome import OmeLevel, multiscale_level
from chunkmeans.sources.registry import ZARR_METADATA, has_zarr_metadata
from chunkmeans.urls import explained

_GEO = ("proj:", "spatial:")
_ARRAY = re.compile(rb'"node_type"\s*:\s*"array"')
_NAMED = 20
"""Arrays of a group that an error names."""


@dataclass(frozen=True)
class _Opened:
    """A zarr array that is open in this process, and what was found on the way to it."""

    array: "zarr.Array[Any]"
    level: OmeLevel
    attributes: dict[str, Any]
    """Of the group, if any, and the array."""


class ZarrImage(Image):
    """A zarr array, or one level of an OME-Zarr image (`options.series` and `options.level`)."""

    reader = "zarr 1"

    def describe(self) -> ImageInfo:
        """Return what is in the metadata; no chunk is read."""
        opened = self._opened
        array, level = opened.array, opened.level
        dtype, layout = pixel_dtype(array.dtype), self._layout
        what = f"its chunks are {array.chunks}, each decoded at once"
        check_limit(self.options.limits, "piece", prod(layout.along(array.chunks)), what)
        scaled = len(level.scale) == array.ndim
        named = len(level.channel_names) == layout.channels
        return layout.info(
            dtype,
            array.chunks,
            channel_names=level.channel_names if named else (),
            pixel_size=layout.along(level.scale) if scaled else (),
            units=layout.along(level.units) if scaled else (),
            tags={k: v for k, v in opened.attributes.items() if k.startswith(_GEO)},
            warnings=(*level.warnings, *layout.warnings),
        )

    def decode(self, box: Box, channels: Sequence[int]) -> Pixels:
        """Decode the chunks that the box meets; of a sharded array, only the inner chunks."""
        folder = self._folder
        if not is_url(folder) and not has_zarr_metadata(folder):  # it would read as fill values
            raise SourceError("is gone since it was opened")
        array, layout = self._opened.array, self._layout
        index = layout.index(box, channels)
        listed = any(isinstance(part, list) for part in index)
        block = np.asarray(
            array.oindex[cast("Any", index)] if listed else array[cast("Any", index)]
        )
        return Pixels(layout.arrange(block).astype(self.stored.dtype, copy=False))

    def fingerprint(self) -> str:
        """Hash of the names, sizes and times of every file of the array: of all its chunks."""
        with self.naming("cannot be opened"):
            metadata = repr(sorted(self._opened.attributes.items()))
            return folder_fingerprint(self._folder, self.options.storage_options, metadata)

    # -- opening ------------------------------------------------------------------------------

    @cached_property
    def _opened(self) -> _Opened:
        """Open the array; once per process, never pickled."""
        level = OmeLevel("")
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
                f"level {self.options.level} of series {self.options.series} is chosen, "
                "but this is a single array, which has only level 0 of series 0"
            )
        return _Opened(node, level, attributes)

    def _place(self, inner: str) -> str:
        """Path or URL of what is at `inner` below the image's path."""
        return f"{self.path.rstrip('/')}/{inner}" if inner else self.path

    def _open(self, inner: str) -> "zarr.Array[Any] | zarr.Group":
        """Open the node at `inner` below the image's path."""
        where = self._place(inner)
        nothing = f"no zarr array or group is at {where!r} (no {' or '.join(ZARR_METADATA)})"
        if is_url(self.path):
            options = dict(self.options.storage_options)
            with explained(where, options):
                store: Store = FsspecStore.from_url(where, storage_options=options, read_only=True)
        elif has_zarr_metadata(where):
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

    def _choose(self, group: zarr.Group) -> OmeLevel:
        """Which array of a group is the requested image."""
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
            system, root = source_filesystem(self.path, self.options.storage_options)
        else:
            system, root = fsspec.filesystem("file"), self.path
        for place in (listed.rstrip("/") for listed in sorted(system.ls(root, detail=False))):
            mark = f"{place}/zarr.json"
            third = system.exists(mark) and _ARRAY.search(system.cat_file(mark))
            if third or system.exists(f"{place}/.zarray"):
                yield place.rsplit("/", 1)[-1]

    @cached_property
    def _layout(self) -> ArrayLayout:
        """How the stored array is laid out."""
        array, level = self._opened.array, self._opened.level
        metadata = array.metadata
        names = getattr(metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
        axes = self.options.axes or level.axes or axes_of_names(cast("Any", names))
        return ArrayLayout.of(array.shape, axes)

    # -- files --------------------------------------------------------------------------------

    @property
    def _folder(self) -> str:
        """Folder or URL of the array itself."""
        return self._place(self._opened.level.path)


def _is_blosc(array: "zarr.Array[Any]") -> bool:
    """Whether each stored value of an array is one Blosc buffer."""
    last = array.compressors[-1] if array.compressors and array.shards is None else None
    return isinstance(last, BloscCodec) or getattr(last, "codec_id", "") == "blosc"
