"""From collected samples to a model: seeding, restarts, Lloyd, labels in their order."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import pairwise
from typing import Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from chunkmeans.errors import ChunkError, ConfigError
from chunkmeans.kmeans.compiled.tree import Tree
from chunkmeans.kmeans.counting.collect import Collected
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.lloyd import (
    Empty,
    Far,
    Metric,
    PartialSums,
    Pixels,
    brightness_order,
    inertia,
    lloyd,
)
from chunkmeans.kmeans.model import Iteration, Model, Start
from chunkmeans.kmeans.progress import Course, Progress
from chunkmeans.kmeans.samples import Floats, Ints, Samples
from chunkmeans.kmeans.seeding import Draws, plusplus_means, random_means

Item = TypeVar("Item")
Part = TypeVar("Part")

LARGEST = 1e140
"""Largest magnitude of a number: the inertia of 2**60 pixels of 65,535 channels stays finite."""

ROWS_PER_THREAD = 2**17
"""Fewer rows than this are not worth a thread of their own."""

AHEAD = 16
"""Turns of a table that are taken at once, most likely not in vain: Python waits for its lock after
each compiled call, which for a small image may take longer than the turn."""

FEW_NUMBERS = 2**10
"""Of the means for which turns are taken ahead."""


class Scaling(Protocol):
    """What weighs channels by all of their numbers; a frozen dataclass of JSON values."""

    def weights(self, collected: Collected) -> Floats:
        """Return what each channel is multiplied by in distances, (c,)."""
        ...

    def check(self, channels: int) -> None:
        """Refuse so many channels, by a `ConfigError`, if they cannot be weighed."""
        ...


@dataclass(frozen=True)
class Settings:
    """How to fit; the names are those of the config."""

    k: int
    init: Literal["random", "kmeans++"] | Floats = "random"
    """A seeding, or given means (k, c)."""
    restarts: int = 1
    threshold: float = 0.0
    max_iterations: int = 1000
    empty: Empty = "farthest"
    seed: int = 0
    scale: Scaling | None = None
    """How channels are weighed; None: each as it is."""


class TablePixels:
    """`Pixels` that are a table in memory, as trees, worked on by threads.

    A tree costs as much as five plain passes and pays from the fourth on: fits take more.

    Parameters
    ----------
    table
        Distinct vectors with their counts.
    metric
        How far they are apart.
    threads
        How many work on them.
    """

    def __init__(self, table: Samples, metric: Metric, threads: int = 1) -> None:
        self.table, self.metric = table, metric
        self._parts = _cut(table, threads)
        self._ahead: dict[bytes, PartialSums] = {}

    @cached_property
    def _trees(self) -> list[Tree]:
        return self._each(self._parts, lambda part: Tree.of(part, self.metric))

    def sums(self, means: Floats) -> PartialSums:
        """Return exact sums and counts by nearest mean."""
        if len(self._trees) == 1:
            return self._foreseen(self._trees[0], means)
        parts = self._each(self._trees, lambda tree: tree.partial_sums(means, self.metric))
        return reduce(PartialSums.merge, parts)

    def _foreseen(self, tree: Tree, means: Floats) -> PartialSums:
        """Return the sums for means that are most likely those of the turn after the last."""
        asked = means.tobytes()
        if asked not in self._ahead:
            turns = tree.turns(means, self.metric, AHEAD if means.size <= FEW_NUMBERS else 1)
            self._ahead = {of_turn.tobytes(): partial for of_turn, partial in turns}
        return self._ahead[asked]

    def farthest(self, means: Floats, number: int) -> Far:
        """Return the distinct samples farthest from their own mean."""
        return self.metric.farthest(self.table.values, means, number)

    def moments(self, means: Floats) -> Moments:
        """Return exact counts, sums and squares by nearest mean."""
        parts = self._each(self._parts, lambda part: self.metric.moments(part, means))
        return reduce(Moments.merge, parts)

    def _each(self, items: Sequence[Item], work: Callable[[Item], Part]) -> list[Part]:
        if len(items) == 1:
            return [work(items[0])]
        with ThreadPoolExecutor(len(items)) as pool:
            return list(pool.map(work, items))


def _cut(table: Samples, threads: int) -> list[Samples]:
    """Return a table in a part per thread, if it is large enough to be cut."""
    values, counts = table.values, table.counts
    parts = max(1, min(threads, len(values) // ROWS_PER_THREAD))
    edges = [len(values) * i // parts for i in range(parts + 1)]
    return [
        Samples(values[a:b], None if counts is None else counts[a:b]) for a, b in pairwise(edges)
    ]


@dataclass(frozen=True, slots=True)
class Fit:
    """The start that was kept: means that are ready to label, not yet a record of the labels.

    Groups are in the order of the initial means, without those that had no sample at the end.
    """

    means: Floats
    """(k, c); ties go to the lowest row."""
    numbers: NDArray[np.uint16]
    """Label of each row, 1..k from dark to bright, (k,)."""
    metric: Metric
    course: Course
    """Of this start; its groups are still all initial means."""
    kept: Ints
    """Initial means that the rows are, (k,)."""
    starts: tuple[Start, ...]
    best: int

    @property
    def colours(self) -> Floats:
        """Means in the order of the labels, (k, c)."""
        ordered: Floats = self.means[np.argsort(self.numbers)]
        return ordered

    def model(self, written: Moments) -> Model:
        """Return the model of labels that were written: of the whole fit, or of one image of it.

        Parameters
        ----------
        written
            Exact totals of the labelled pixels by row of `means`.
        """
        order = np.argsort(self.numbers)
        history = np.array(self.course.counts)
        total = inertia(
            PartialSums(written.counts, written.sums), self.means, written.total(), self.metric
        )
        starts = self.starts
        if len(starts) == 1:
            starts = (replace(starts[0], inertia=total),)
        return Model(
            means=self.means[order],
            order=self.numbers.astype(np.int64) - 1,
            weights=self.metric.weights,
            counts=written.counts[order],
            deviations=written.deviations()[order],
            inertia=total,
            converged=starts[self.best].converged,
            residuals=np.array(self.course.residuals),
            inertias=np.array(self.course.inertias),
            history=history[:, self.kept[order]],
            starts=starts,
            best=self.best,
        )


def fit(
    collected: Collected,
    settings: Settings,
    pixels: Callable[[Metric], Pixels],
    watch: Callable[[int, Iteration], None] = lambda restart, iteration: None,
    *,
    before: Progress | None = None,
    keep: Callable[[Progress], None] = lambda progress: None,
) -> Fit:
    """Run every start to its end and keep the one of lowest inertia (the first of equals).

    Parameters
    ----------
    collected
        What the read of all pixels left; at least one of them is valid.
    settings
        How to fit.
    pixels
        Makes the samples that answer for given means.
    watch
        Called after each iteration with the number of its start, from 0.
    before
        How far a fit of the same samples by the same settings came; it is gone on with, to the
        same bits.
    keep
        Called after each iteration, before `watch`, and after each start. It may copy what it is
        given, which goes on growing.

    Raises
    ------
    ConfigError
        If given means or weights do not fit the channels.
    ChunkError
        If pixels, weights or given means are too large to be squared, or a group is emptied that
        must not be.
    """
    extreme = check_magnitude(collected)
    check_channels(settings, len(collected.lowest))
    metric = metric_of(collected, settings)
    _check_magnitude(extreme * metric.weights, "a weighted pixel", "lower features.scale")
    samples, whole, answering = collected.seeds(), collected.moments(), pixels(metric)
    restarts = settings.restarts if isinstance(settings.init, str) else 1
    progress = Progress() if before is None else before
    begun = len(progress.starts) + (progress.running.means is not None)
    drawn = {  # all before the first pass: drawing, and the trees of samples, take much room each
        restart: initial_means(samples, settings, metric, restart)
        for restart in range(begun, restarts)
    }
    while (restart := len(progress.starts)) < restarts:
        course = progress.running
        if not _ended(course, settings):
            means = drawn[restart] if course.means is None else course.means
            for iteration in lloyd(
                means, answering, whole, metric, first=len(course) + 1,
                threshold=settings.threshold, max_iterations=settings.max_iterations,
                empty=settings.empty,
            ):  # fmt: skip
                course.add(iteration)
                keep(progress)
                watch(restart, iteration)
        final, residual = course.inertias[-1], course.residuals[-1]
        if restarts > 1:
            means = course.end[course.kept]
            final = inertia(answering.sums(means), means, whole, metric)
        progress.end(Start(final, len(course), residual, residual <= settings.threshold))
        keep(progress)
    return _best(progress, metric)


def _ended(course: Course, settings: Settings) -> bool:
    """Whether a start has made its last iteration."""
    if not len(course):
        return False
    return course.residuals[-1] <= settings.threshold or len(course) >= settings.max_iterations


def _best(progress: Progress, metric: Metric) -> Fit:
    """Return the best of the starts of a fit."""
    course = progress.kept
    if course is None:
        raise ValueError("a fit without a start has no means")
    means = course.end[course.kept]
    numbers = np.empty(len(means), np.uint16)
    numbers[brightness_order(means)] = np.arange(1, len(means) + 1)
    return Fit(means, numbers, metric, course, course.kept, tuple(progress.starts), progress.best)


def check_magnitude(collected: Collected) -> Floats:
    """Return the largest magnitude in each channel, (c,); refuse one too large to be squared.

    Raises
    ------
    ChunkError
        Naming it and the largest that is allowed.
    """
    ends = np.array([collected.lowest, collected.highest], np.float64)
    _check_magnitude(ends, "a pixel", "set images.nodata if it stands for missing data")
    extreme: Floats = np.abs(ends).max(axis=0)
    return extreme


def check_channels(settings: Settings, channels: int) -> None:
    """Refuse given means or weights that do not fit an image's channels.

    Raises
    ------
    ConfigError
        If there is not one number per channel.
    """
    if settings.scale is not None:
        settings.scale.check(channels)
    if not isinstance(settings.init, str):
        shape = np.shape(settings.init)
        if len(shape) != 2 or shape[1] != channels:
            raise ConfigError(
                f"kmeans.init: the given means have {shape[-1]} channels, the image has "
                f"{channels}; give one number per channel, or choose images.channels"
            )


def initial_means(samples: Samples, settings: Settings, metric: Metric, restart: int) -> Floats:
    """Return the initial means of a start, at most (k, c)."""
    if isinstance(settings.init, str):
        draws = Draws(settings.seed, restart)
        if settings.init == "random":
            return random_means(samples, settings.k, draws)
        return plusplus_means(samples, settings.k, draws, metric)
    means = np.array(settings.init, np.float64)
    _check_magnitude(means * metric.weights, "a given mean", "change kmeans.init")
    return means


def metric_of(collected: Collected, settings: Settings) -> Metric:
    """Return the metric that `settings.scale` asks for."""
    if settings.scale is None:
        return Metric(np.ones(len(collected.lowest)))
    return Metric(settings.scale.weights(collected))


def _check_magnitude(numbers: Floats, what: str, advice: str) -> None:
    """Refuse numbers whose squared differences would overflow a float64."""
    extreme = float(numbers.flat[np.abs(numbers).argmax()])
    if not abs(extreme) <= LARGEST:  # NaN is not either
        raise ChunkError(
            f"{what} holds {extreme:g}; squared distances are computed in float64 and need "
            f"numbers up to {LARGEST:g}: {advice}"
        )
