"""The unit of work: a box of one image, and how a task reads it.

Everything here pickles and is small: a task opens its image by path, and a worker keeps what it
decoded while there is room (`hold`), so that the next phase need not read again.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkmeans.config.models import Fingerprint, Limits
from chunkmeans.engines.pixel_cache import found, held, held_if_room
from chunkmeans.engines.worker.deadline import limited
from chunkmeans.errors import SourceError
from chunkmeans.features.validity import Nodata, Sampled, sample
from chunkmeans.image.grid import Box, pieces
from chunkmeans.image.info import ImageInfo
from chunkmeans.kmeans.metric import Metric
from chunkmeans.kmeans.samples import Samples, canonical
from chunkmeans.kmeans.tree import Tree, tree_bytes
from chunkmeans.retry import with_retries
from chunkmeans.secrets import without_secrets
from chunkmeans.sources.base import Image
from chunkmeans.sources.files.content_hash import content_of

PIECE = 2**20
"""Pixels decoded at a time, about."""


@dataclass(frozen=True, slots=True)
class Input:
    """One image of the run and what of it counts."""

    id: str
    """Names the image in results."""
    image: Image
    mask: Image | None
    """Valid where any of its channels is not zero; of the image's shape."""
    nodata: Nodata
    fingerprint: str
    """Of the image, and the mask, when it was opened: what its result keeps."""
    dtype: np.dtype[Any]
    """Canonical type of its samples; in a collection, one for all images."""
    stamp: str = ""
    """The same by size and time of change, which tell whether it changes while it is read; empty:
    `fingerprint` is that."""

    @property
    def info(self) -> ImageInfo:
        """What the image is."""
        return self.image.info

    @property
    def identity(self) -> str:
        """Names what `read` returns: the same text, the same samples."""
        image, mask = self.image, self.mask
        read = f"{image.path} {image.options} {mask and mask.path} {self.nodata} {self.dtype}"
        return f"{read} {self.fingerprint}"

    def read(self, box: Box) -> Sampled:
        """Return the valid samples of a box; in a worker, no longer than `images.limits` allows."""
        with in_time(self.image.path, f"cannot be read at {box}", self.image.options.limits):
            mask = None if self.mask is None else self.mask.read(box).values
            pixels = self.image.read(box)
        valid = None if mask is None else (mask != 0).any(axis=-1)
        return sample(pixels, self.nodata, valid, self.dtype)

    def check_unchanged(self) -> None:
        """Refuse to mix old and new pixels.

        Raises
        ------
        SourceError
            If the image, or its mask, is not the one that was planned.
        """
        now = with_retries(lambda: fingerprint(self.image, self.mask))
        if now != (self.stamp or self.fingerprint):
            raise SourceError(
                f"{self.image.path}: the file changed while it was being segmented; run again "
                "when it is written completely"
            )


def in_time(path: str, what: str, limits: Limits) -> AbstractContextManager[None]:
    """Return the context in which a file is read, no longer than ``images.limits`` allow."""
    seconds = limits.seconds
    if seconds is None:
        return nullcontext()
    return limited(
        seconds,
        f"{path}: {what}: it takes more than {seconds:g} s, which images.limits.seconds allows; "
        "raise it if the file is to be trusted",
    )


CONTENT = "content "
"""How a fingerprint begins that is of the content; what follows is the image's, then the mask's."""


def fingerprint(image: Image, mask: Image | None, by: Fingerprint = "stat") -> str:
    """Return a text that changes when the image or its mask does; `by` their content reads both."""
    images = (image,) if mask is None else (image, mask)
    if by == "stat":
        return " mask ".join(one.fingerprint() for one in images)
    return CONTENT + " mask ".join(_hashed(one) for one in images)


def _hashed(image: Image) -> str:
    """Return the hash of all bytes of an image's files."""
    with image.naming("cannot be read"):
        return content_of(image.files, image.options.storage_options)


def open_input(
    name: str,
    image: Image,
    mask: Image | None = None,
    nodata: Nodata | None = None,
    by: Fingerprint = "stat",
) -> Input:
    """Return an image as an input, its header read and its mask's shape checked.

    With `by` content its files are read through once for their fingerprint.

    Raises
    ------
    SourceError
        If the image or the mask cannot be opened, or their shapes differ.
    """
    info = image.info
    if mask is not None and mask.info.shape != info.shape:
        raise SourceError(
            f"{image.path}: the image is {info.shape} pixels, its mask {mask.path} is "
            f"{mask.info.shape}; give a mask of the same shape"
        )
    if nodata is not None and len(nodata) not in (1, info.channels):
        raise SourceError(
            f"{image.path}: images.nodata lists {len(nodata)} numbers, the image has "
            f"{info.channels} channels; give one number, or one per channel"
        )
    valid_rule = info.nodata if nodata is None else nodata
    stamp = fingerprint(image, mask)  # first: what changes from here on is noticed
    mark = stamp if by == "stat" else fingerprint(image, mask, by)
    return Input(name, image, mask, valid_rule, mark, canonical(info.dtype), stamp)


@dataclass(frozen=True, slots=True, repr=False)
class Chunk:
    """A box of one image: the unit of work."""

    source: Input
    box: Box
    hold: int
    """Bytes a worker process may hold of decoded pixels; 0: none."""
    family: str
    """What is held together: the pixels of one fit."""

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.box.size

    @property
    def nbytes(self) -> int:
        """Bytes of its decoded pixels."""
        info = self.source.info
        return self.box.size * info.channels * info.dtype.itemsize

    @property
    def held_bytes(self) -> int:
        """Bytes of its samples, and of where they are."""
        return self.box.size * (self.source.info.channels * self.source.dtype.itemsize + 1)

    @property
    def key(self) -> tuple[str, str, Box]:
        """Names its pixels wherever they are held."""
        return (self.family, self.source.identity, self.box)

    def __repr__(self) -> str:
        # errors of the engine show it
        return f"{without_secrets(self.source.image.path)} {self.box}"

    def read(self) -> Iterator[tuple[Box, Sampled]]:
        """Yield the chunk's samples piece by piece: from what is held, or from the file."""
        if self.held_bytes > self.hold:
            yield from self._decode()
            return
        yield from held(
            self.key,
            lambda: tuple(self._decode()),
            nbytes=lambda parts: sum(sampled.nbytes for _, sampled in parts),
            limit=self.hold,
        )

    def trees(self, metric: Metric) -> tuple[Tree, ...]:
        """Return the chunk's samples as trees, a piece each; none where there is no room for them.

        There is, where its decoded pixels are held and the trees can be, too. Nothing is read.
        """
        key = (*self.key, "trees")
        known: tuple[Tree, ...] | None = found(key)
        if known is not None:
            return known
        parts: tuple[tuple[Box, Sampled], ...] | None = found(self.key)
        if parts is None:
            return ()
        pieces = [Samples(sampled.values) for _, sampled in parts]
        made = held_if_room(
            key,
            lambda: tuple(Tree.of(samples, metric) for samples in pieces),
            nbytes=sum(map(tree_bytes, pieces)),
            limit=self.hold,
        )
        return made or ()

    def _decode(self) -> Iterator[tuple[Box, Sampled]]:
        for box in pieces(self.box, self.source.info.chunks, PIECE):
            yield box, self.source.read(box)


Bundle = tuple[Chunk, ...]


def bundle_key(bundle: Bundle) -> tuple[str, str, Box]:
    """Name of a bundle, the same in every phase."""
    return bundle[0].key
