"""An iteration, how a start ended, and the model of a finished fit: plain values."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from chunkmeans.kmeans.samples import Floats, Ints


@dataclass(frozen=True, slots=True)
class Iteration:
    """One iteration, groups in the order of the initial means."""

    index: int
    """From 1."""
    means: Floats
    """Means after its update, (k, c), in the image's own units."""
    residual: float
    """E: sum of the k Euclidean norms of the means' moves, in the scaled metric."""
    inertia: float
    """Sum of squared distances to the means *before* the update, in the scaled metric."""
    counts: Ints
    """Samples per group under the means before the update, (k,)."""
    refilled: tuple[int, ...] = ()
    """Emptied groups that took a far sample as their new mean, by index."""


@dataclass(frozen=True, slots=True)
class Start:
    """One of the random starts: how it ended."""

    inertia: float
    """Of the labels it would write."""
    iterations: int
    residual: float
    """Of its last iteration."""
    converged: bool

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Start":
        """Return the start of JSON values, where a number that JSON does not know is a text."""
        floats = {name: float(data[name]) for name in ("inertia", "residual")}
        return cls(**{**data, **floats})


@dataclass(frozen=True, slots=True)
class Model:
    """A finished fit. Row i of every array belongs to label i + 1; darkest first."""

    means: Floats
    """(k, c), in the image's own units."""
    order: Ints
    """Rows of `means` in the order of the initial means, (k,): the order that decides ties."""
    weights: Floats
    """Factor per channel that scales differences, (c,): ones where nothing is scaled."""
    counts: Ints
    """Pixels per label, as written, (k,)."""
    deviations: Floats
    """Standard deviation of the pixels of each label around their own average, (k, c)."""
    inertia: float
    """Sum of squared distances of the labelled pixels to `means`, in the scaled metric."""
    converged: bool
    """Whether E <= T ended the loop, and not ``max_iterations``."""
    residuals: Floats
    """E of every iteration, (n,)."""
    inertias: Floats
    """Inertia of every iteration, (n,)."""
    history: Ints
    """Counts of every iteration, (n, k)."""
    starts: tuple[Start, ...]
    """Every start, in order; more than one where ``restarts`` asks for it."""
    best: int
    """Which of `starts` this is, from 0."""

    @property
    def k(self) -> int:
        """Number of labels."""
        return len(self.means)

    def to_dict(self) -> dict[str, Any]:
        """Return the model as JSON values."""
        found = asdict(self) | {"starts": [asdict(start) for start in self.starts]}
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in found.items()
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Model":
        """Return the model that `to_dict` wrote."""
        k = len(data["means"])
        return cls(
            means=np.array(data["means"], np.float64).reshape(k, -1),
            order=np.array(data["order"], np.int64),
            weights=np.array(data["weights"], np.float64),
            counts=np.array(data["counts"], np.int64),
            deviations=np.array(data["deviations"], np.float64).reshape(k, -1),
            inertia=float(data["inertia"]),
            converged=bool(data["converged"]),
            residuals=np.array(data["residuals"], np.float64),
            inertias=np.array(data["inertias"], np.float64),
            history=np.array(data["history"], np.int64).reshape(-1, k),
            starts=tuple(map(Start.from_dict, data["starts"])),
            best=int(data["best"]),
        )
