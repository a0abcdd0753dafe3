"""The weight of each channel: what makes channels of different ranges comparable."""

from typing import Literal

import numpy as np

from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.samples import Floats, Values

Scaling = Literal["none", "standard", "range"] | tuple[float, ...]


def channel_weights(scale: Scaling, whole: Moments, lowest: Values, highest: Values) -> Floats:
    """Return the factor of each channel's differences, (c,).

    Parameters
    ----------
    scale
        ``none``: ones; ``standard``: one over the standard deviation of all pixels; ``range``: one
        over the difference of the greatest and the least; or the factors themselves.
    whole
        Exact totals of all pixels, one group.
    lowest, highest
        Least and greatest number of each channel, (c,).

    Notes
    -----
    A constant channel keeps weight 1. A spread below the normal numbers counts as the least of
    them, so that weights are finite.
    """
    weights = np.ones(len(lowest))
    if scale == "none":
        return weights
    if scale == "standard":
        spread = whole.deviations()[0]
    elif scale == "range":
        # as Python's integers: the range of 64 bits does not fit into 64 bits
        pairs = zip(lowest.tolist(), highest.tolist(), strict=True)
        spread = np.array([float(b - a) for a, b in pairs])
    else:
        return np.array(scale, np.float64)
    weights[spread > 0] = 1.0 / np.maximum(spread[spread > 0], np.finfo(np.float64).tiny)
    return weights
