"""How far a fit is: what it needs to go on, to the same bits, where it was stopped."""

from dataclasses import dataclass, field

import numpy as np

from chunkmeans.kmeans.model import Counts, Floats, Iteration, Start


@dataclass(slots=True)
class Course:
    """The iterations of one start, of which only the last one's means are kept; it grows."""

    residuals: list[float] = field(default_factory=list)
    """E of every iteration."""
    inertias: list[float] = field(default_factory=list)
    """Of every iteration, as `Iteration.inertia`."""
    counts: list[Counts] = field(default_factory=list)
    """Of every iteration, as `Iteration.counts`, (k,) each."""
    means: Floats | None = None
    """After the last iteration, (k, c); None: there was none yet."""
    refilled: tuple[int, ...] = ()
    """In the last iteration, as `Iteration.refilled`."""

    def __len__(self) -> int:
        return len(self.residuals)

    def add(self, iteration: Iteration) -> None:
        """Take the next iteration."""
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
    def kept(self) -> Counts:
        """Groups that have samples after the last iteration, by index."""
        return np.array(
            [i for i, n in enumerate(self.counts[-1]) if n or i in self.refilled], np.int64
        )


@dataclass(slots=True)
class Progress:
    """What a fit has done; it grows with the fit, and `fit` goes on from it."""

    starts: list[Start] = field(default_factory=list)
    """Those that have ended, in order."""
    kept: Course | None = None
    """Of the best of them."""
    running: Course = field(default_factory=Course)
    """Of the start after those."""

    @property
    def best(self) -> int:
        """Which of the ended starts is the best: of least inertia, the first of equals."""
        return min(range(len(self.starts)), key=lambda i: self.starts[i].inertia)

    def end(self, start: Start) -> None:
        """Note how the running start ended; another one begins."""
        self.starts.append(start)
        if self.best == len(self.starts) - 1:
            self.kept = self.running
        self.running = Course()
