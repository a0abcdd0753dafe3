"""The scale of distances: every channel divided by how far its numbers spread."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from chunkmeans.errors import ConfigError
from chunkmeans.features.base import Feature
from chunkmeans.kmeans.counting.collect import Collected
from chunkmeans.kmeans.samples import Floats


@dataclass(frozen=True)
class ChannelScale(Feature):
    """Weights of the channels; numbers and means stay in the units of the image."""

    name: ClassVar[str] = "scale"
    by: Literal["none", "standard", "range"] | tuple[float, ...] = "none"
    """What distances are measured in: standard (deviations), range, or weights, one per channel."""

    def weights(self, collected: Collected) -> Floats:
        """Return one over the spread of each channel, (c,); a constant channel keeps weight 1.

        A spread below the normal numbers counts as the least of them, so that weights are finite.
        """
        if self.by == "none":
            return np.ones(len(collected.lowest))
        if self.by == "standard":
            spread = collected.moments().deviations()[0]
        elif self.by == "range":
            # as Python's integers: the range of int64 does not fit an int64
            lowest, highest = collected.lowest.tolist(), collected.highest.tolist()
            spread = np.array([float(b - a) for a, b in zip(lowest, highest, strict=True)])
        else:
            return np.array(self.by, np.float64)
        weights = np.ones(len(spread))
        weights[spread > 0] = 1.0 / np.maximum(spread[spread > 0], np.finfo(np.float64).tiny)
        return weights

    def check_weights(self, channels: int) -> None:
        """Refuse given weights that are not one per channel."""
        if isinstance(self.by, tuple) and len(self.by) != channels:
            raise ConfigError(
                f"features.scale: {len(self.by)} weights for {channels} channels; give one "
                "weight per channel"
            )
