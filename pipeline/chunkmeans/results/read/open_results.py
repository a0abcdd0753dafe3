"""Results opened again: the run, its images, their labels and means. Read only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.errors import ResultError
from chunkmeans.image.grid import Box, split
from chunkmeans.kmeans.model import Model
from chunkmeans.results.models import models
from chunkmeans.results.read.catalog import Row, read_catalog
from chunkmeans.results.read.record import RunRecord, read_record
from chunkmeans.results.store.store import CATALOG, METADATA, RECORD, Store, image_path
from chunkmeans.results.write.labels import MEAN, mean_table

if TYPE_CHECKING:
    import zarr


@dataclass(frozen=True)
class SegmentedImage:
    """The labels of one image, and what is known of them."""

    store: Store
    """The root that holds it."""
    path: str
    """Of the image's own store, inside `store`."""
    attributes: Mapping[str, Any] = field(repr=False)
    """Everything kept under ``chunkmeans``: source, settings, versions, ..."""
    scales: int
    """Levels of the pyramid, at least 1 in a complete image."""

    @property
    def complete(self) -> bool:
        """Whether the run finished this image."""
        return bool(self.attributes["complete"])

    @cached_property
    def model(self) -> Model:
        """Means, counts and history, in the order of the labels."""
        self.refuse_incomplete()
        model = self.attributes["model"]
        if "stored" in model:
            return models.read_model_at(self.store, self._inside(model["stored"]))
        return Model.from_dict(model)

    @property
    def source(self) -> Mapping[str, Any]:
        """Where the pixels came from, and their georeferencing, as far as known."""
        return dict(self.attributes.get("source", {}))

    @property
    def axes(self) -> str:
        """A letter per axis of the labels, of ``tzyx``."""
        return str(self._image["axes"])

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels along each axis."""
        return tuple(self._image["shape"])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the image's own numbers."""
        return np.dtype(str(self._image["dtype"]))

    @property
    def channel_names(self) -> tuple[str, ...]:
        """A name per channel, or none at all."""
        return tuple(self._image["channel_names"])

    @cached_property
    def levels(self) -> tuple[tuple[int, ...], ...]:
        """Pixels along each axis, of every level of the pyramid; the full labels first."""
        return tuple(self.labels(n).shape for n in range(self.scales))

    def labels(self, level: int = 0) -> "zarr.Array[Any]":
        """Return the labels of a level as a zarr array: 0 no data, 1 the darkest mean.

        Raises
        ------
        ResultError
            If there is no such level.
        """
        return self._array(str(level), level)

    def mean_colours(
        self, level: int = 0, region: Box | tuple[slice, ...] | None = None
    ) -> NDArray[Any]:
        """Return the image with each pixel replaced by its label's mean.

        Parameters
        ----------
        level
            Of the pyramid.
        region
            Which part of it; None: everything.

        Returns
        -------
        ndarray
            The region's shape + (channels,), the image's own dtype: integers are rounded, halves
            to the even. Pixels without data are 0.
        """
        index = region.slices if isinstance(region, Box) else region if region else ...
        labels = np.asarray(self.labels(level)[index])
        return np.asarray(mean_table(self.model.means, self.dtype)[labels])

    def check(self, *, read: bool = False) -> None:
        """Do nothing if every stored object is there.

        A missing object would read as "no data", silently.

        Parameters
        ----------
        read
            Whether to read every pixel too, which finds whatever is damaged.

        Raises
        ------
        ResultError
            If an object is missing or damaged, naming it.
        """
        present = set(self.store.files(self.path))
        folders = ("", f"{MEAN}/") if self._image["mean_image"] else ("",)
        for name in (f"{folder}{n}" for folder in folders for n in range(self.scales)):
            array = self._array(name, 0)
            unit = array.shards or array.chunks
            objects = [-(-s // u) for s, u in zip(array.shape, unit, strict=True)]
            wanted = [f"{name}/c/{'/'.join(map(str, at))}" for at in np.ndindex(*objects)]
            missing = [key for key in wanted if key not in present]
            if missing:
                raise ResultError(
                    f"{self.store.join(self.path)}: {len(missing)} of {len(wanted)} stored "
                    f"objects of {name} are missing, the first is {missing[0]}; "
                    "run the same command with --overwrite"
                )
            for box in split(Box.whole(array.shape), unit) if read else ():
                try:
                    array[box.slices]
                except Exception as error:  # a codec's failure: they have no common base
                    raise ResultError(
                        f"{self.store.join(self.path)}: {name} is damaged at {box}: {error}; "
                        "run the same command with --overwrite"
                    ) from error

    def _inside(self, name: str) -> str:
        return f"{self.path}/{name}" if self.path else name

    @property
    def _image(self) -> Mapping[str, Any]:
        self.refuse_incomplete()
        return dict(self.attributes["image"])

    def refuse_incomplete(self) -> None:
        """Raise a `ResultError` unless the run finished this image."""
        if not self.complete:
            raise ResultError(
                f"{self.store.join(self.path)}: is incomplete, the run has not finished it; "
                "run the same command again"
            )

    def _array(self, name: str, level: int) -> "zarr.Array[Any]":
        if not 0 <= level < self.scales:
            raise ResultError(
                f"{self.store.join(self.path)}: has no level {level}; it has 0 to {self.scales - 1}"
            )
        import zarr  # a run looks at earlier results, but not at their labels

        try:
            return zarr.open_array(self.store.zarr(self.path), path=name, mode="r")
        except Exception as error:  # zarr's and the network's have no common base
            raise ResultError(f"{self.store.join(self._inside(name))}: {error}") from error


@dataclass(frozen=True)
class Run:
    """Everything a run left behind."""

    store: Store
    record: RunRecord
    """What was asked, and how it ended."""
    allow_incomplete: bool = False
    """Whether images that the run has not finished are shown too."""

    @cached_property
    def catalog(self) -> list[Row]:
        """A row per input, in the order of the inputs.

        A row's `fractions` and `means` describe each label of the image; ``labels.csv`` beside
        the catalogue has the same in long form, for searches.
        """
        return read_catalog(self.store)

    @cached_property
    def images(self) -> Mapping[str, SegmentedImage]:
        """Images by id, each opened when it is asked for."""
        return _Images(self.store, self.allow_incomplete)

    @cached_property
    def model(self) -> Model:
        """The model of the whole collection.

        Raises
        ------
        ResultError
            If each image or group has a model of its own.
        """
        return models.read_model(self.store)

    @cached_property
    def models(self) -> Mapping[str, Model]:
        """Models of the groups by name, or of the ``collection``; none where images have theirs."""
        return {
            "collection" if group is None else group: models.read_model(self.store, group)
            for group in models.model_names(self.store)
        }


class _Images(Mapping[str, SegmentedImage]):
    """Images of a run by id; lists the output once, opens on demand."""

    def __init__(self, store: Store, allow_incomplete: bool) -> None:
        self._store, self._allow_incomplete = store, allow_incomplete
        listed = store.exists(CATALOG) and not allow_incomplete
        rows = read_catalog(store) if listed else ()
        ids = (row.id for row in rows if row.store) if listed else store.image_names()
        self._ids = dict.fromkeys(ids)
        """In the order of the catalogue, or of names while there is none."""

    def __getitem__(self, image: str) -> SegmentedImage:
        if image not in self._ids:
            raise KeyError(image)
        return open_segmented(
            self._store, image_path(image), allow_incomplete=self._allow_incomplete
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


def open_run(
    path: str | PathLike[str],
    storage_options: Mapping[str, Any] | None = None,
    *,
    allow_incomplete: bool = False,
) -> Run:
    """Open what a run left behind, or has so far.

    Parameters
    ----------
    path
        The output: a folder or a URL.
    storage_options
        Handed to fsspec, for a URL.
    allow_incomplete
        Whether to show also images that the run has not finished; most of their
        properties are refused then, image by image.

    Raises
    ------
    ResultError
        If there is no output of a run, it is damaged, or written by a newer chunkmeans.
    """
    store = Store(str(path), storage_options or {})
    if not store.exists(RECORD):
        if store.exists(METADATA):
            what = "is a zarr store, not the output of a run; open the folder that holds run.json"
        elif store.exists(""):
            what = "holds no run.json, so it is not the output of a run"
        else:
            what = "does not exist"
        raise ResultError(f"{store.path}: {what}")
    return Run(store, read_record(store), allow_incomplete)


def open_segmented(store: Store, path: str, *, allow_incomplete: bool = False) -> SegmentedImage:
    """Open one image's labels.

    Parameters
    ----------
    store
        A root that holds it.
    path
        Of the image's own store, inside `store`; empty where the root is that store.
    allow_incomplete
        Whether an image that a run has not finished is opened.

    Raises
    ------
    ResultError
        If there is none, it is incomplete or damaged, or written by a newer chunkmeans.
    """
    where = store.join(path)
    if not store.exists(f"{path}/{METADATA}" if path else METADATA):
        raise ResultError(f"{where}: there is no image's store")
    attributes = models.group_attributes(store, path)
    own = attributes.get("chunkmeans")
    if not isinstance(own, dict) or not {"format", "complete"} <= own.keys():
        raise ResultError(f"{where}: is a zarr group that chunkmeans did not write")
    scales = len(attributes["ome"]["multiscales"][0]["datasets"]) if own["complete"] else 0
    image = SegmentedImage(store, path, own, scales)
    if not allow_incomplete:
        image.refuse_incomplete()
    return image
