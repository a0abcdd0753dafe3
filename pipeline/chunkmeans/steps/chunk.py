"""An image of the run as samples (`Input`), and a box of it, the unit of work (`Chunk`).

Both pickle and are small: a task opens its image by path, and a worker keeps what it decoded while
there is room (`cache_bytes`), so that the next phase need not read again.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chunkmeans.config.models import Fingerprint, Limits
from chunkmeans.engines.pixel_cache import PIXEL_CACHE
from chunkmeans.engines.worker.deadline import limited
from chunkmeans.errors import SourceError
from chunkmeans.features.base import FeatureChain
from chunkmeans.features.validity import NO_FEATURES, Nodata, Sampled, sample
from chunkmeans.image.grid import Box, pieces
from chunkmeans.image.info import ImageInfo
from chunkmeans.kmeans.metric import Metric
from chunkmeans.kmeans.samples import Samples, canonical
from chunkmeans.kmeans.tree import Tree, tree_bytes
from chunkmeans.retry import with_retries
from chunkmeans.secrets import without_secrets
from chunkmeans.sources.base import Image
from chunkmeans.sources.files.content_hash import content_of
from chunkmeans.steps.tuning import Tuning, default_tuning


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
    """The same by size and time of change, by which a change while it is read is noticed; empty:
    `fingerprint` is that."""
    features: FeatureChain = NO_FEATURES
    """What its samples are made of its pixels by."""
    tuning: Tuning = field(default_factory=default_tuning, repr=False)
    """How it is cut."""

    @property
    def info(self) -> ImageInfo:
        """What its samples are, their channels and type before all; of pixels: `image.info`."""
        return self.features.describe(self.image.info)

    @property
    def identity(self) -> str:
        """Names what `read` returns: the same text, the same samples."""
        image, mask = self.image, self.mask
        read = f"{image.path} {image.options} {mask and mask.path} {self.nodata} {self.dtype}"
        features = f" {self.features}" if self.features.steps else ""
        return f"{read}{features} {self.fingerprint}"

    def read(self, box: Box) -> Sampled:
        """Return the valid samples of a box; in a worker, no longer than `images.limits` allows."""
        with in_time(self.image.path, f"cannot be read at {box}", self.image.options.limits):
            # a feature of a neighbourhood is the same in any box that comes with its halo
            wide = self.features.widened(box, self.image.info)
            mask = None if self.mask is None else self.mask.read(wide).values
            pixels = self.image.read(wide)
        valid = None if mask is None else (mask != 0).any(axis=-1)
        inner = None if wide == box else box.within(wide.start)
        return sample(pixels, self.nodata, valid, self.dtype, self.features, inner)

    @property
    def is_unchanged(self) -> bool:
        """Whether the image, and its mask, are those that were opened."""
        now = with_retries(lambda: input_fingerprint(self.image, self.mask))
        return now == (self.stamp or self.fingerprint)

    def check_unchanged(self) -> None:
        """Refuse to mix old and new pixels.

        Raises
        ------
        SourceError
            If the image, or its mask, is not the one that was planned.
        """
        if not self.is_unchanged:
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


READ_BY = " read by "
"""What comes before the reader in a fingerprint; it is named from its second version on."""


def input_fingerprint(image: Image, mask: Image | None, by: Fingerprint = "stat") -> str:
    """Return a text that changes when the image or its mask does; `by` their content reads both.

    It changes, too, when the version of their readers does: then the same bytes mean other pixels.
    """
    images = (image,) if mask is None else (image, mask)
    if by == "stat":
        return " mask ".join(one.fingerprint() + read_by(one) for one in images)
    return CONTENT + " mask ".join(_hashed(one) + read_by(one) for one in images)


def read_by(image: Image) -> str:
    """Return what a fingerprint says of the reader; nothing of a first version."""
    return "" if image.reader.endswith(" 1") else READ_BY + image.reader


def _hashed(image: Image) -> str:
    """Return the hash of all bytes of an image's files."""
    with image.naming("cannot be read"):
        return content_of(image.files, image.options.storage_options)


def open_input(
    name: str,
    image: Image,
    mask: Image | None = None,
    nodata: Nodata | None = None,
    features: FeatureChain = NO_FEATURES,
) -> Input:
    """Return an image as an input, its header read and its mask's shape checked.

    Its fingerprint is that of sizes and times of change; `Job.identify` gives the other kind.

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
    stamp = input_fingerprint(image, mask)
    dtype = canonical(features.describe(info).dtype)
    return Input(name, image, mask, valid_rule, stamp, dtype, stamp, features)


@dataclass(frozen=True, slots=True, repr=False)
class Chunk:
    """A box of one image: the unit of work."""

    source: Input
    box: Box
    cache_bytes: int
    """Bytes of decoded pixels that a worker process may keep; 0: none."""
    family: str
    """What is held together: the pixels of one fit."""

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.box.size

    @property
    def nbytes(self) -> int:
        """Bytes of its decoded pixels."""
        info = self.source.image.info
        return self.box.size * info.channels * info.dtype.itemsize

    @property
    def sample_nbytes(self) -> int:
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
        if self.sample_nbytes > self.cache_bytes:
            yield from self._decode()
            return
        yield from PIXEL_CACHE.get_or_load(
            self.key,
            lambda: tuple(self._decode()),
            nbytes=lambda parts: sum(sampled.nbytes for _, sampled in parts),
            limit=self.cache_bytes,
        )

    def trees(self, metric: Metric) -> tuple[Tree, ...]:
        """Return the chunk's samples as trees, a piece each; none where there is no room for them.

        There is, where its decoded pixels are held and the trees can be, too. Nothing is read.
        """
        key = (*self.key, "trees")
        known: tuple[Tree, ...] | None = PIXEL_CACHE.get(key)
        if known is not None:
            return known
        parts: tuple[tuple[Box, Sampled], ...] | None = PIXEL_CACHE.get(self.key)
        if parts is None:
            return ()
        pieces = [Samples(sampled.values) for _, sampled in parts]
        made = PIXEL_CACHE.get_or_load_if_room(
            key,
            lambda: tuple(Tree.of(samples, metric) for samples in pieces),
            nbytes=sum(map(tree_bytes, pieces)),
            limit=self.cache_bytes,
        )
        return made or ()

    def _decode(self) -> Iterator[tuple[Box, Sampled]]:
        for box in pieces(self.box, self.source.info.chunks, self.source.tuning.piece_pixels):
            yield box, self.source.read(box)


Bundle = tuple[Chunk, ...]
"""Chunks of one task; the key of the first names it, the same in every phase."""
