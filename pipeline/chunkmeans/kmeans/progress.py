"""How far a fit is: what it needs to be resumed, to the same bits, where it was stopped."""

from dataclasses import dataclass, field

import numpy as np

from chunkmeans.kmeans.model import Iteration, Start
from chunkmeans.kmeans.samples import Floats, Ints


@dataclass(slots=True)
class Iterations:
    """The iterations of one start so far, of which only the last one's means are stored."""

    residuals: list[float] = field(default_factory=list)
    """E of every iteration."""
    inertias: list[float] = field(default_factory=list)
    """Of every iteration, as `Iteration.inertia`."""
    counts: list[Ints] = field(default_factory=list)
    """Of every iteration, as `Iteration.counts`, (k,) each."""
    means: Floats | None = None
    """After the last iteration, (k, c); None: there was none yet."""
    refilled: tuple[int, ...] = ()
    """In the last iteration, as `Iteration.refilled`."""

    def __len__(self) -> int:
        return len(self.residuals)

    def add(self, iteration: Iteration) -> None:
        """Append the next iteration."""
        self.residuals.append(iteration.residual)
        self.inertias.append(iteration.inertia)
        self.counts.append(iteration.counts)
        self.means, self.refilled = iteration.means, iteration.refilled

    @property
    def end(self) -> Floats:
        """Means after the last iteration, (k, c); there is one."""
        if self.means is None:
            raise ValueError("a start without an iteration has no means")
        return self.means

    @property
    def occupied(self) -> Ints:
        """Groups that have samples after the last iteration, by index."""
        return np.array(
            [i for i, n in enumerate(self.counts[-1]) if n or i in self.refilled], np.int64
        )


@dataclass(slots=True)
class Progress:
    """What a fit has done; it grows with the fit, and `fit` can resume from it."""

    starts: list[Start] = field(default_factory=list)
    """Those that have ended, in order."""
    of_best: Iterations | None = None
    """Those of the best of them."""
    running: Iterations = field(default_factory=Iterations)
    """Those of the start after them."""

    @property
    def best(self) -> int:
        """Which of the ended starts is the best: of least inertia, the first of equals."""
        return min(range(len(self.starts)), key=lambda i: self.starts[i].inertia)

    def end(self, start: Start) -> None:
        """Record how the running start ended; another one begins."""
        self.starts.append(start)
        if self.best == len(self.starts) - 1:
            self.of_best = self.running
        self.running = Iterations()
