"""What hypothesis draws: small images full of ties and awkward numbers, chunks, means, weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import DTypeLike, NDArray

from tests.support import oracle

DTYPES = ("uint8", "uint16", "int16", "float32", "float64")
LARGEST = {"float16": 1e3, "float32": 1e30, "float64": 1e100}
"""Bound on the magnitude of finite pixels: their squared distances stay finite in float64."""


@dataclass(frozen=True)
class DrawnImage:
    """Pixels and what marks the invalid ones."""

    values: NDArray[Any]
    """Box shape + (channels,)."""
    nodata: tuple[float, ...]
    """As `chunkmeans.image.info.ImageInfo.nodata`: none, one number, or one per channel."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels along each axis, channels aside."""
        return self.values.shape[:-1]

    @property
    def channels(self) -> int:
        """Numbers per pixel."""
        return int(self.values.shape[-1])

    @property
    def samples(self) -> NDArray[Any]:
        """Valid vectors, (n, c); none where every pixel is invalid."""
        return self.values[oracle.valid(self.values, self.nodata)]


def numbers(dtype: DTypeLike) -> st.SearchStrategy[Any]:
    """Finite numbers of a dtype: its edges, small steps that make ties, and anything else."""
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        info = np.iinfo(kind)
        edges = [info.min, info.min + 1, info.max // 2, info.max - 1, info.max]
        return st.sampled_from(range(5)) | st.sampled_from(edges) | st.integers(info.min, info.max)
    limits = np.finfo(kind)
    bound = float(np.array(LARGEST[kind.name], kind))
    tiny = float(limits.smallest_subnormal)
    special = [-0.0, tiny, -tiny, 3 * tiny, float(limits.smallest_normal), bound, -bound]
    close = [1.0, 1.0 + float(limits.eps), 1.0 - float(limits.epsneg), float(np.array(1 / 3, kind))]
    return (
        st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, -1.0])
        | st.sampled_from(special)
        | st.sampled_from(close)
        | hnp.from_dtype(kind, min_value=-bound, max_value=bound, allow_nan=False)
    )


@st.composite
def images(
    draw: st.DrawFn,
    dtypes: Sequence[DTypeLike] = DTYPES,
    channels: Sequence[int] = (1, 3, 4, 6),
    ndims: Sequence[int] = (2, 3),
    *,
    max_side: int = 7,
    non_finite: bool = True,
) -> DrawnImage:
    """Images of few vectors that repeat, or of noise; some with nodata, NaN and infinities."""
    dtype = np.dtype(draw(st.sampled_from(list(dtypes))))
    count = draw(st.sampled_from(list(channels)))
    ndim = draw(st.sampled_from(list(ndims)))
    least = draw(st.sampled_from([1, 3]))
    shape = draw(st.tuples(*[st.integers(min(least, max_side), max_side)] * ndim))

    palette = draw(st.lists(numbers(dtype), min_size=1, max_size=6))
    if dtype.kind == "f" and non_finite and draw(st.booleans()):
        palette.append(draw(st.sampled_from([np.nan, np.inf, -np.inf])))
    if draw(st.booleans()):
        values = _noise(draw, dtype, (*shape, count))
    else:
        vector = st.lists(st.sampled_from(palette), min_size=count, max_size=count)
        fewest = draw(st.sampled_from([1, 4, 8]))
        vectors = np.array(draw(st.lists(vector, min_size=fewest, max_size=12)), dtype)
        which = hnp.arrays(
            np.uint8, shape, elements=st.integers(0, len(vectors) - 1), fill=st.nothing()
        )
        values = vectors[draw(which)]
    if dtype.kind == "f":
        values = _both_zeros(values)
    return DrawnImage(values, draw(_nodata(palette, dtype, count)))


def chunk_shapes(shape: Sequence[int]) -> st.SearchStrategy[tuple[int, ...]]:
    """Chunks of an image of that shape: from one pixel to all of it along each axis."""
    return st.tuples(*(st.integers(1, side) for side in shape))


@st.composite
def given_means(draw: st.DrawFn, image: DrawnImage, k: int) -> NDArray[np.float64]:
    """Initial means (k, c) in float64: samples, twins, points half way and far off.

    An image without a valid pixel has none: the example is given up.
    """
    samples = image.samples.astype(np.float64)
    if len(samples) == 0:
        reject()
    one = st.integers(0, len(samples) - 1).map(lambda i: samples[i])
    half_way = st.tuples(one, one).map(lambda pair: pair[0] / 2 + pair[1] / 2)
    beyond = st.tuples(one, one).map(lambda pair: pair[0] + 2 * (pair[0] - pair[1]))
    return np.array(draw(st.lists(one | half_way | beyond, min_size=k, max_size=k)), np.float64)


def channel_weights(channels: int) -> st.SearchStrategy[NDArray[np.float64]]:
    """Factors per channel, (c,), above zero; powers of two among them, which keep ties."""
    weight = st.sampled_from([0.25, 0.5, 1.0, 2.0]) | st.floats(1e-3, 1e3)
    drawn = st.lists(weight, min_size=channels, max_size=channels)
    return drawn.map(lambda values: np.array(values, np.float64))


def _noise(draw: st.DrawFn, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Vectors that hardly repeat: all of an integer's range, many magnitudes, or denormals."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    if draw(st.integers(0, 4)) == 0:
        steps = rng.integers(-9, 10, shape).astype(dtype)
        denormals: NDArray[Any] = steps * np.finfo(dtype).smallest_subnormal
        return denormals
    magnitude = draw(st.sampled_from([0.0, 3.0, np.log10(LARGEST[dtype.name])]))
    exponents = rng.uniform(-magnitude, magnitude, shape)
    return (rng.uniform(-1, 1, shape) * 10.0**exponents).astype(dtype)


def _both_zeros(values: NDArray[Any]) -> NDArray[Any]:
    """Return the same numbers with a minus at every other zero, so that both meet in one image."""
    result = values.copy()
    zeros = np.flatnonzero(result == 0)
    result.flat[zeros[::2]] = -0.0
    return result


def _nodata(
    palette: Sequence[Any], dtype: np.dtype[Any], channels: int
) -> st.SearchStrategy[tuple[float, ...]]:
    """None, one number or one per channel: mostly present in the image, some never."""
    present = st.sampled_from([x for x in palette if np.isfinite(x)])
    absent = st.sampled_from([-9999, 70000])
    number = present | present | absent
    if dtype.kind == "f":
        number = number | st.just(np.nan)
    per_channel = st.lists(number, min_size=channels, max_size=channels).map(tuple)
    return st.just(()) | st.tuples(number) | per_channel
