"""A toy feature: each channel, and beside it the mean of its neighbourhood."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from chunkmeans.features.base import Feature


@dataclass(frozen=True)
class Surroundings(Feature):
    """Pixels with the mean of a square around them, along y and x."""

    name: ClassVar[str] = "surroundings"
    radius: int = 1

    def channels(self, channels):
        """Twice as many: the pixel's own, then those of its neighbourhood."""
        return 2 * channels

    def dtype(self, dtype):
        """Means are no whole numbers."""
        return np.dtype(np.float64)

    def halo(self, axes):
        """As far as the square goes; a volume is taken plane by plane."""
        return tuple(self.radius if axis in "yx" else 0 for axis in axes)

    def transform(self, values, valid):
        """(*shape, c) to (*shape, 2c); a pixel that does not count has no part in a mean."""
        own = values.astype(np.float64)
        counted = np.ones(values.shape[:-1], bool) if valid is None else valid
        total = self._sum(np.where(counted[..., None], own, 0.0))
        number = self._sum(counted[..., None].astype(np.float64))
        return np.concatenate([own, total / np.maximum(number, 1.0)], axis=-1)

    def _sum(self, values):
        """Sum over the square, always in the same order, so that no box changes a bit."""
        r = self.radius
        beside = [(r, r) if axis in (values.ndim - 3, values.ndim - 2) else (0, 0)
                  for axis in range(values.ndim)]  # fmt: skip
        padded = np.pad(values, beside)  # nothing lies beyond the image
        height, width = values.shape[-3:-1]
        total = np.zeros_like(values)
        for dy in range(2 * r + 1):
            for dx in range(2 * r + 1):
                total += padded[..., dy : dy + height, dx : dx + width, :]
        return total
