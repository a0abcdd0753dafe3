"""Tables of pixels that were counted, in ``samples.zarr``: so that none is read for them twice.

Of a subject (the collection, a group, a huge image) there are a few parts. Each names which
images, or boxes of them, it is, and holds the distinct vectors of those with their counts; or,
where pixels hardly repeat, a sketch of the vectors and the exact totals of all pixels. Never a
pixel with its place. The group's own metadata comes last, so that half a part is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.errors import ResultError
from chunkmeans.image.grid import Box
from chunkmeans.kmeans.counting.collect import Collected
from chunkmeans.kmeans.exact.accumulator import Exact
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.samples import Samples
from chunkmeans.results.models.models import create_groups, group_attributes, write_group
from chunkmeans.results.store.packed_arrays import pack_array, unpack_array
from chunkmeans.results.store.plain_json import reading, to_json
from chunkmeans.results.store.store import METADATA, SAMPLES, Store
from chunkmeans.results.store.zarr_writer import ZarrArray, read_objects

_NUMBERS_PER_CHUNK = 2**22

Covers = Mapping[str, tuple[Box, ...] | None]
"""What a part is of: the mark of each image, and which boxes of it; None: the whole."""


@dataclass(frozen=True, slots=True)
class SamplesPart:
    """A saved table, by its metadata."""

    path: str
    """Of its zarr group in the output."""
    covers: Covers
    pixels: int
    """Valid pixels that it is of."""
    about: Mapping[str, Any]
    """The rest of its metadata."""


def samples_path(subject: str) -> str:
    """Return where the parts of a subject lie."""
    return f"{SAMPLES}/{subject}"


def write_samples(store: Store, subject: str, covers: Covers, collected: Collected) -> SamplesPart:
    """Save what was collected of some boxes of a subject's images.

    Raises
    ------
    ResultError
        If the output cannot be written.
    """
    create_groups(store, samples_path(subject))
    covered = {
        mark: None if boxes is None else [[list(box.start), list(box.stop)] for box in boxes]
        for mark, boxes in covers.items()
    }
    path = f"{samples_path(subject)}/{_hash(sorted(covered.items()), 8)}"
    samples = collected.samples()
    counts = samples.weights.astype(np.min_scalar_type(int(samples.weights.max(initial=0))))
    arrays = {"vectors": np.ascontiguousarray(samples.values.T), "counts": counts}
    about = {
        "covers": covered,
        "pixels": collected.pixels,
        "invalid": collected.invalid,
        "lowest": pack_array(collected.lowest),
        "highest": pack_array(collected.highest),
        "rest": None if collected.rest is None else _packed(collected.rest),
        "arrays": {name: [v.dtype.str, list(v.shape)] for name, v in arrays.items()},
    }
    stored = {name: (_zarr_array(name, v.dtype, v.shape), v) for name, v in arrays.items()}
    own = {**about, "digest": _hash(about, 16)}
    write_group(store, path, "the table of pixels", stored, own)
    return SamplesPart(path, covers, collected.pixels, about)


def find_samples(store: Store, subject: str) -> tuple[list[SamplesPart], dict[str, str]]:
    """Return the parts of a subject, and what is of no use by path: why, if it is damaged.

    There is no such reason where a run was killed while it wrote.
    """
    found: list[SamplesPart] = []
    useless: dict[str, str] = {}
    for name in store.names(samples_path(subject)):
        path = f"{samples_path(subject)}/{name}"
        if name == METADATA or not store.is_folder(path):
            continue
        try:
            if store.exists(f"{path}/{METADATA}"):
                found.append(_part(store, path))
            else:
                useless[path] = ""
        except ResultError as error:
            useless[path] = str(error)
    return found, useless


def read_samples(store: Store, part: SamplesPart) -> Collected:
    """Return what was collected.

    Raises
    ------
    ResultError
        If the part is damaged.
    """
    about = part.about
    with store.naming(part.path, "cannot be read"), reading(store.join(part.path)):
        vectors, counts = (_read(store, part, name) for name in _AXES)
        samples = Samples(np.ascontiguousarray(vectors.T), counts.astype(np.int64))
        rest = None if about["rest"] is None else _moments(about["rest"])
        lowest, highest = unpack_array(about["lowest"]), unpack_array(about["highest"])
        collected = Collected.of(samples, rest, lowest, highest, int(about["invalid"]))
    if collected.pixels != part.pixels or lowest.dtype != samples.values.dtype:
        raise ResultError(
            f"{store.join(part.path)}: is damaged: it counts {collected.pixels} pixels where it "
            f"says {part.pixels}"
        )
    return collected


def _part(store: Store, path: str) -> SamplesPart:
    found = group_attributes(store, path)
    with reading(store.join(path)):
        about = dict(found["chunkmeans"])
        del about["format"]  # which `group_attributes` has checked
        if about.pop("digest") != _hash(about, 16):
            raise ResultError(f"{store.join(path)}: is damaged: its checksum is another one")
        covers = {
            str(mark): None if boxes is None else tuple(Box(*map(tuple, box)) for box in boxes)
            for mark, boxes in about["covers"].items()
        }
        return SamplesPart(path, covers, int(about["pixels"]), about)


_AXES = {"vectors": ("channel", "vector"), "counts": ("vector",)}


def _read(store: Store, part: SamplesPart, name: str) -> NDArray[Any]:
    dtype, shape = part.about["arrays"][name]
    array = _zarr_array(name, np.dtype(dtype), tuple(shape))
    return read_objects(store, f"{part.path}/{name}", array, Box.whole(array.shape))


def _zarr_array(name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> ZarrArray:
    """Return how an array of a part is stored: cut along its last axis."""
    vectors = max(1, min(_NUMBERS_PER_CHUNK // max(1, prod(shape[:-1])), shape[-1]))
    return ZarrArray(shape, dtype, (*shape[:-1], vectors), None, _AXES[name])


def _hash(value: Any, size: int) -> str:
    return blake2b(to_json(value).encode(), digest_size=size).hexdigest()


def _packed(rest: Moments) -> dict[str, Any]:
    return {
        "counts": rest.counts.tolist(),
        "sums": {"exponent": rest.sums.exponent, "limbs": pack_array(rest.sums.limbs)},
        "squares": {"exponent": rest.squares.exponent, "limbs": pack_array(rest.squares.limbs)},
    }


def _moments(found: Mapping[str, Any]) -> Moments:
    sums, squares = (
        Exact(unpack_array(found[name]["limbs"]), int(found[name]["exponent"]))
        for name in ("sums", "squares")
    )
    return Moments(np.array(found["counts"], np.int64), sums, squares)
