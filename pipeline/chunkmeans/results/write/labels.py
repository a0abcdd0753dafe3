"""Label images on disk: made once, written shard by shard by any number of tasks, then completed.

A store under way is a zarr group without OME metadata and with ``complete: false``; the one
write that turns it into an image, its mark, is the last (`chunkmeans.results.write.complete`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from chunkmeans.errors import ResultError
from chunkmeans.image.grid import Box, split
from chunkmeans.image.info import ImageInfo
from chunkmeans.kmeans.model import Model
from chunkmeans.kmeans.samples import Floats
from chunkmeans.results.models.models import group_json, numbers, write_model_at
from chunkmeans.results.store import zarr_writer
from chunkmeans.results.store.store import METADATA, Store, image_path
from chunkmeans.results.store.versions import FORMAT
from chunkmeans.results.write import ome_metadata
from chunkmeans.results.write.complete import Mark
from chunkmeans.results.write.layout import LabelLayout
from chunkmeans.results.write.pyramid import halve

MEAN = "mean"
LARGE_MODEL = "model"
_Value = TypeVar("_Value")
_OWN_KEYS = frozenset({"format", "complete", "image", "model"})


@dataclass(frozen=True)
class LabelWriter:
    """Writes the labels of one image. Pickles; any number of tasks may write at a time.

    Each task writes boxes of whole blocks, and no other task touches those. Writing a box again
    writes the same objects again, whole, without looking at what was there.
    """

    store: Store
    path: str
    """Of the image's own store, inside `store`."""
    layout: LabelLayout
    info: ImageInfo
    mean_image: bool
    """Whether each label's mean is written too, as an image."""

    def arrays(self, level: int) -> tuple[zarr_writer.ZarrArray, zarr_writer.ZarrArray]:
        """Return how the labels of a level are stored, and how the mean image is, if there is."""
        labels, where = self.layout.levels[level], ome_metadata.channel_axis(self.layout.axes)
        return labels, replace(
            labels,
            shape=_inserted(labels.shape, where, self.info.channels),
            dtype=self.info.dtype,
            chunk=_inserted(labels.chunk, where, 1),
            shard=_inserted(labels.shard, where, 1) if labels.shard else None,
            axes=_inserted(labels.axes, where, "c"),
        )

    def stored(self) -> Iterator[tuple[str, zarr_writer.ZarrArray]]:
        """Yield every array of the store: its name, and how it is stored."""
        for level in range(len(self.layout.levels)):
            labels, mean = self.arrays(level)
            yield str(level), labels
            if self.mean_image:
                yield f"{MEAN}/{level}", mean

    def write(self, box: Box, labels: NDArray[Any], colours: Floats | None = None) -> None:
        """Write the labels of `box`, and its part of the levels that lie inside blocks.

        Parameters
        ----------
        box
            Whole blocks, or what the image's border leaves of them.
        labels
            0 for no data, else 1 to k; the box's shape, the layout's dtype.
        colours
            Means in the order of the labels, (k, c); needed for a mean image.

        Raises
        ------
        ResultError
            If the disk is full or refuses.
        OSError
            If it fails for a reason that may pass.
        """
        self._check(box, labels)
        table = self._table(colours)
        for n, level in enumerate(self.layout.levels):
            if not level.with_block:
                break
            if n:
                labels = halve(labels, self.layout.axes, self.layout.pyramid)
            self._put(n, self.layout.part(box, n), labels, table)

    def write_upper(self, item: tuple[int, Box], colours: Floats | None = None) -> None:
        """Write one object, of `LabelLayout.upper`, from the level below; errors as of `write`."""
        level, box = item
        table = self._table(colours)
        labels = np.empty(box.shape, self.layout.dtype)
        below, _ = self.arrays(level - 1)
        with self.store.naming(self.path, "labels cannot be read", may_pass=True):
            # in parts, so that no more than one object's worth of pixels is read at a time
            for part in split(box, [-(-u // 2) for u in self.layout.levels[level].unit]):
                covered = self.layout.below(part, level)
                full = zarr_writer.read_objects(
                    self.store, f"{self.path}/{level - 1}", below, covered
                )
                labels[part.within(box.start).slices] = halve(
                    full, self.layout.axes, self.layout.pyramid
                )
        self._put(level, box, labels, table)

    def mark(self, model: Model, attributes: Mapping[str, Any]) -> Mark:
        """Check that nothing is missing, write what is left, and return the mark to be set.

        Parameters
        ----------
        model
            Of the written labels, in their order; its counts and deviations are those of this
            image, also where its means are a whole collection's.
        attributes
            JSON values to keep under ``chunkmeans``: ``source`` (itself a mapping), ``settings``,
            ``versions``, ... Georeferencing of the image is added to ``source``.

        Raises
        ------
        ResultError
            If an object is missing, or the output cannot be written.
        """
        if taken := _OWN_KEYS & attributes.keys():
            raise ValueError(f"{', '.join(sorted(taken))} are not for the caller to set")
        if model.counts.sum() > self.info.pixels:
            raise ValueError(
                f"the model counts {model.counts.sum()} pixels, the image has {self.info.pixels}; "
                "give the counts of this image"
            )
        self._refuse_holes()
        name = self.path.rsplit("/", 1)[-1].removesuffix(".ome.zarr")
        if self.mean_image:
            mean = ome_metadata.mean_metadata(f"{name} by mean", self.layout, self.info, model)
            self.store.write_text(f"{self.path}/{MEAN}/{METADATA}", group_json({"ome": mean}))
        large = numbers(model) > ome_metadata.MOST_NUMBERS
        if large:
            write_model_at(self.store, f"{self.path}/{LARGE_MODEL}", model)
        own = {
            "format": FORMAT,
            "complete": True,
            "image": self._image(),
            "model": {"stored": LARGE_MODEL} if large else model.to_dict(),
            **attributes,
        }
        if self.info.tags:
            own["source"] = {**own.get("source", {}), "tags": self.info.tags}
        ome = ome_metadata.label_metadata(name, self.layout, self.info, model)
        return Mark(self.path, group_json({"ome": ome, "chunkmeans": own}))

    # -- inside ---------------------------------------------------------------------------------

    def _check(self, box: Box, labels: NDArray[Any]) -> None:
        shape = self.layout.levels[0].shape
        whole = all(
            a % b == 0 and (z % b == 0 or z == n)
            for a, z, b, n in zip(box.start, box.stop, self.layout.block, shape, strict=True)
        )
        if not whole or not box.inside(Box.whole(shape)):
            raise ValueError(
                f"box {box} is not made of whole blocks {self.layout.block} of {shape}"
            )
        if labels.shape != box.shape or labels.dtype != self.layout.dtype:
            raise ValueError(
                f"labels are {labels.shape} of {labels.dtype}, "
                f"the box needs {box.shape} of {self.layout.dtype}"
            )

    def _table(self, colours: Floats | None) -> NDArray[Any] | None:
        if not self.mean_image:
            return None
        if colours is None:
            raise ValueError("a mean image needs the means of the labels")
        return mean_table(colours, self.info.dtype)

    def _put(self, level: int, box: Box, labels: NDArray[Any], table: NDArray[Any] | None) -> None:
        array, mean = self.arrays(level)
        with self.store.naming(self.path, "labels cannot be written", may_pass=True):
            zarr_writer.write_objects(self.store, f"{self.path}/{level}", array, box.start, labels)
            if table is None:
                return
            where = ome_metadata.channel_axis(self.layout.axes)
            for channel in range(table.shape[1]):
                values = np.expand_dims(np.take(table[:, channel], labels), where)
                start = _inserted(box.start, where, channel)
                zarr_writer.write_objects(
                    self.store, f"{self.path}/{MEAN}/{level}", mean, start, values
                )

    def _refuse_holes(self) -> None:
        expected = [
            f"{name}/{key}"
            for name, array in self.stored()
            for key in zarr_writer.object_names(array)
        ]
        missing = self.store.missing(self.path, expected)
        if missing:
            raise ResultError(
                f"{self.store.join(self.path)}: {len(missing)} of {len(expected)} stored objects "
                f"are missing, the first is {missing[0]}; run the same command again"
            )

    def _image(self) -> dict[str, Any]:
        named = ("axes", "shape", "channels", "channel_names")
        found = {name: getattr(self.info, name) for name in named}
        return {**found, "dtype": self.info.dtype.name, "mean_image": self.mean_image}


def create_labels(
    store: Store, image: str, layout: LabelLayout, info: ImageInfo, mean_image: bool = False
) -> LabelWriter:
    """Create the store of an image's labels, with all its metadata but that of a whole image.

    What stood there before is deleted. Called once, before any task writes.

    Parameters
    ----------
    store
        The output.
    image
        Id of the image in the run.
    layout, info
        How labels are cut, and the image that they belong to.
    mean_image
        Whether each pixel's mean is stored too, as an image in ``mean/``.

    Raises
    ------
    ResultError
        If the output cannot be written.
    """
    path = image_path(image)
    store.delete(path)
    writer = LabelWriter(store, path, layout, info, mean_image)
    begun = group_json({"chunkmeans": {"format": FORMAT, "complete": False}})
    with store.naming(path, "labels cannot be created"):
        store.write_bytes(f"{path}/{METADATA}", begun.encode())
        for name, array in writer.stored():
            zarr_writer.create_array(store, f"{path}/{name}", array)
    return writer


def mean_table(means: Floats, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the pixel that stands for each label, (k + 1, c); zeros for label 0.

    Means of integers are rounded, halves to the even.
    """
    table = np.zeros((len(means) + 1, means.shape[1]), dtype)
    if dtype.kind == "f":
        table[1:] = means
        return table
    limits = np.iinfo(dtype)
    rounded = np.rint(means)
    # the float nearest to the greatest 64-bit integer lies above it
    above, below = rounded >= float(limits.max), rounded <= float(limits.min)
    table[1:] = np.where(above | below, 0, rounded)
    table[1:][above] = limits.max
    table[1:][below] = limits.min
    return table


def _inserted(values: tuple[_Value, ...], where: int, value: _Value) -> tuple[_Value, ...]:
    return (*values[:where], value, *values[where:])
