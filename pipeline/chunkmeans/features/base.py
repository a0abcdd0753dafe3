"""The seam between decoded pixels and samples: what a feature is, and a chain of them."""

from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from chunkmeans.image.grid import Box
from chunkmeans.image.info import ImageInfo
from chunkmeans.kmeans.counting.collect import Collected
from chunkmeans.kmeans.samples import Floats

Mask = NDArray[np.bool_] | None
"""Where pixels count, of a box's shape; None: everywhere."""


class Feature:
    """A pure function of a pixel, or of a stated neighbourhood of it.

    A subclass is a frozen dataclass whose fields are its parameters, so that it pickles, compares
    and shows what it is. Every method has a default that changes nothing; a feature overrides
    those that it is about. The same pixels give the same numbers, whatever box they come in:
    neither random numbers nor anything of the box as a whole (its mean, its place) may enter.
    """

    name: ClassVar[str]
    """As in the registry, and in ``features.use`` of a config."""

    def channels(self, channels: int) -> int:
        """Return how many channels come out where so many go in."""
        return channels

    def dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Return the type of the numbers that come out where those of `dtype` go in."""
        return dtype

    def halo(self, axes: str) -> tuple[int, ...]:
        """Return how many pixels beyond a box `transform` needs, on either side of each axis.

        Parameters
        ----------
        axes
            A letter of ``tzyx`` per axis.
        """
        return (0,) * len(axes)

    def transform(self, values: NDArray[Any], valid: Mask) -> NDArray[Any]:
        """Return the features of a box of pixels, (*shape, c) to (*shape, channels(c)).

        The box comes with its halo, which is cut off afterwards; at the edge of the image there
        is none, and the feature decides what stands for the pixels beyond.

        Parameters
        ----------
        values
            Decoded pixels, (*shape, c); not to be written to. C order is not promised.
        valid
            Where they count, (*shape,); None: everywhere. The numbers elsewhere mean nothing.
            A pixel whose feature is not finite does not count either.
        """
        return values

    def weights(self, collected: Collected) -> Floats | None:
        """Return what each channel of the samples is multiplied by in distances, (c,).

        None: nothing.

        Parameters
        ----------
        collected
            What all pixels of the fit leave: extremes and exact moments by channel.
        """
        return None

    def check_weights(self, channels: int) -> None:
        """Refuse samples of so many channels, which come out, if they cannot be weighed.

        Raises
        ------
        ConfigError
            If given weights are not one per channel.
        """

    def check(self, channels: int) -> None:
        """Refuse pixels of so many channels, which go in, before they are read.

        Raises
        ------
        ConfigError
            If the feature, or its parameters, do not fit them.
        """


@dataclass(frozen=True)
class FeatureChain:
    """A chain of features, applied one after the other."""

    steps: tuple[Feature, ...] = ()

    def describe(self, info: ImageInfo) -> ImageInfo:
        """Return what the samples of an image are: the one place that says their channels."""
        if not self.steps:
            return info
        channels, dtype = info.channels, info.dtype
        for step in self.steps:
            step.check(channels)
            channels, dtype = step.channels(channels), np.dtype(step.dtype(dtype))
        names = info.channel_names if channels == info.channels else ()
        return replace(info, channels=channels, dtype=dtype, channel_names=names, nodata=())

    def halo(self, axes: str) -> tuple[int, ...]:
        """Return how many pixels beyond a box all steps together need along each axis."""
        halos = [(0,) * len(axes), *(step.halo(axes) for step in self.steps)]
        return tuple(map(sum, zip(*halos, strict=True)))

    def widened(self, box: Box, info: ImageInfo) -> Box:
        """Return `box` with the halo of all steps, as far as the image goes."""
        wide = list(zip(box.start, box.stop, self.halo(info.axes), info.shape, strict=True))
        return Box(
            tuple(max(0, start - halo) for start, _, halo, _ in wide),
            tuple(min(n, stop + halo) for _, stop, halo, n in wide),
        )

    def transform(self, values: NDArray[Any], valid: Mask) -> NDArray[Any]:
        """Return the samples of a box that comes with its halo, (*shape, c) to (*shape, c')."""
        return reduce(lambda found, step: step.transform(found, valid), self.steps, values)

    def weights(self, collected: Collected) -> Floats:
        """Return what each channel is multiplied by in distances, (c,)."""
        weights: Floats = np.ones(len(collected.lowest))
        for step in self.steps:
            found = step.weights(collected)
            weights = weights if found is None else weights * found
        return weights

    def check_weights(self, channels: int) -> None:
        """Refuse samples of so many channels; raises as `Feature.check_weights` does."""
        for step in self.steps:
            step.check_weights(channels)
