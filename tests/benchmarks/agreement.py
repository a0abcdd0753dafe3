"""Whether two contenders gave the same labels, up to their numbers."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr
from scipy.optimize import linear_sum_assignment


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many pixels have the same label in both."""

    same: int
    """Pixels of the same label."""
    pixels: int
    pairs: tuple[int, ...]
    """Which label of the second stands for label 1, 2, ... of the first, from 1."""

    @property
    def share(self) -> float:
        """Part of the pixels, 0 to 1."""
        return self.same / self.pixels


def compare(first: Path, second: Path, k: int) -> Agreement:
    """Return how far two label arrays agree under the best pairing of their labels 1 to k.

    Reads both shard by shard. A pixel without a label (0) agrees with none.
    """
    a, b = (zarr.open_array(str(path), mode="r") for path in (first, second))
    if a.shape != b.shape:
        raise ValueError(f"labels of {a.shape} and of {b.shape} pixels cannot be compared")
    pairs = np.zeros((k + 1) ** 2, np.int64)
    for rows in range(0, a.shape[0], 256):
        left, right = (np.asarray(x[rows : rows + 256]).ravel() for x in (a, b))
        pairs += np.bincount(left.astype(np.int64) * (k + 1) + right, minlength=len(pairs))
    table = pairs.reshape(k + 1, k + 1)[1:, 1:]
    best = linear_sum_assignment(table, maximize=True)
    pairing = tuple((best[1] + 1).tolist())
    return Agreement(int(table[best].sum()), int(np.prod(a.shape)), pairing)


def apart(
    first: list[list[float]], second: list[list[float]], pairs: tuple[int, ...]
) -> float | None:
    """Return the largest difference of a number of paired means; None if some have no partner."""
    if len(first) != len(pairs) or len(second) != len(pairs):
        return None
    order = [pair - 1 for pair in pairs]
    return float(np.abs(np.array(first) - np.array(second)[order]).max())
