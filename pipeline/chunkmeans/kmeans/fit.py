"""From collected samples to a model: seeding, restarts, Lloyd, labels in their order."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from chunkmeans.errors import ChunkError, ConfigError
from chunkmeans.kmeans.counting.collect import Collected
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.lloyd import Empty, SampleSource, brightness_order, inertia, lloyd
from chunkmeans.kmeans.metric import Metric
from chunkmeans.kmeans.model import Iteration, Model, Start
from chunkmeans.kmeans.partial_sums import PartialSums
from chunkmeans.kmeans.progress import Iterations, Progress
from chunkmeans.kmeans.samples import Floats, Ints, Samples
from chunkmeans.kmeans.seeding import Draws, plusplus_means, random_means

LARGEST_MAGNITUDE = 1e140
"""Of a number: the inertia of 2**60 pixels of 65,535 channels stays finite."""


class Scaling(Protocol):
    """What weighs channels by all of their numbers; a frozen dataclass of JSON values."""

    def weights(self, collected: Collected) -> Floats:
        """Return what each channel is multiplied by in distances, (c,)."""
        ...

    def check_weights(self, channels: int) -> None:
        """Refuse so many channels, by a `ConfigError`, if they cannot be weighed."""
        ...


@dataclass(frozen=True)
class FitSettings:
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


@dataclass(frozen=True, slots=True)
class Fit:
    """The best start: means that are ready to label, not yet a record of the labels.

    Groups are in the order of the initial means, without those that had no sample at the end.
    """

    means: Floats
    """(k, c); ties go to the lowest row."""
    numbers: NDArray[np.uint16]
    """Label of each row, 1..k from dark to bright, (k,)."""
    metric: Metric
    iterations: Iterations
    """Of this start; their groups are still all initial means."""
    occupied: Ints
    """Which initial mean each row was, (k,)."""
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
        history = np.array(self.iterations.counts)
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
            residuals=np.array(self.iterations.residuals),
            inertias=np.array(self.iterations.inertias),
            history=history[:, self.occupied[order]],
            starts=starts,
            best=self.best,
        )


def fit(
    collected: Collected,
    settings: FitSettings,
    source: Callable[[Metric], SampleSource],
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
    source
        Makes the source of the samples.
    watch
        Called after each iteration with the number of its start, from 0.
    before
        How far a fit of the same samples by the same settings came; it is resumed, to the same
        bits.
    keep
        Called after each iteration, before `watch`, and after each start, with the progress, which
        grows on.

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
    whole, metric = collected.moments(), metric_of(collected, settings)
    _check_magnitude(extreme * metric.weights, "a weighted pixel", "lower features.scale")
    samples, pixels = collected.seeds(), source(metric)
    restarts = settings.restarts if isinstance(settings.init, str) else 1
    progress = Progress() if before is None else before
    begun = len(progress.starts) + (progress.running.means is not None)
    drawn = {  # all before the first pass: drawing, and the trees of samples, take much room each
        restart: initial_means(samples, settings, metric, restart)
        for restart in range(begun, restarts)
    }
    while (restart := len(progress.starts)) < restarts:
        done = progress.running
        if not _ended(done, settings):
            means = drawn[restart] if done.means is None else done.means
            for iteration in lloyd(
                means, pixels, whole, metric, first=len(done) + 1,
                threshold=settings.threshold, max_iterations=settings.max_iterations,
                empty=settings.empty,
            ):  # fmt: skip
                done.add(iteration)
                keep(progress)
                watch(restart, iteration)
        final, residual = done.inertias[-1], done.residuals[-1]
        if restarts > 1:  # starts are compared by the labels that they would write
            means = done.end[done.occupied]
            final = inertia(pixels.sums(means), means, whole, metric)
        progress.end(Start(final, len(done), residual, residual <= settings.threshold))
        keep(progress)
    return _best(progress, metric)


def _ended(done: Iterations, settings: FitSettings) -> bool:
    """Whether a start has made its last iteration."""
    if not len(done):
        return False
    return done.residuals[-1] <= settings.threshold or len(done) >= settings.max_iterations


def _best(progress: Progress, metric: Metric) -> Fit:
    """Return the best of the starts of a fit."""
    done = progress.of_best
    if done is None:
        raise ValueError("a fit without a start has no means")
    means = done.end[done.occupied]
    numbers = np.empty(len(means), np.uint16)
    numbers[brightness_order(means)] = np.arange(1, len(means) + 1)
    return Fit(means, numbers, metric, done, done.occupied, tuple(progress.starts), progress.best)


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


def check_channels(settings: FitSettings, channels: int) -> None:
    """Refuse given means or weights that do not fit an image's channels.

    Raises
    ------
    ConfigError
        If there is not one number per channel.
    """
    if settings.scale is not None:
        settings.scale.check_weights(channels)
    if not isinstance(settings.init, str):
        shape = np.shape(settings.init)
        if len(shape) != 2 or shape[1] != channels:
            raise ConfigError(
                f"kmeans.init: the given means have {shape[-1]} channels, the image has "
                f"{channels}; give one number per channel, or choose images.channels"
            )


def initial_means(samples: Samples, settings: FitSettings, metric: Metric, restart: int) -> Floats:
    """Return the initial means of a start, at most (k, c)."""
    if isinstance(settings.init, str):
        draws = Draws(settings.seed, restart)
        if settings.init == "random":
            return random_means(samples, settings.k, draws)
        return plusplus_means(samples, settings.k, draws, metric)
    means = np.array(settings.init, np.float64)
    _check_magnitude(means * metric.weights, "a given mean", "change kmeans.init")
    return means


def metric_of(collected: Collected, settings: FitSettings) -> Metric:
    """Return the metric that `settings.scale` asks for."""
    if settings.scale is None:
        return Metric(np.ones(len(collected.lowest)))
    return Metric(settings.scale.weights(collected))


def _check_magnitude(numbers: Floats, what: str, advice: str) -> None:
    """Refuse numbers whose squared differences would overflow a float64."""
    extreme = float(numbers.flat[np.abs(numbers).argmax()])
    if not abs(extreme) <= LARGEST_MAGNITUDE:  # NaN is not either
        raise ChunkError(
            f"{what} holds {extreme:g}; squared distances are computed in float64 and need "
            f"numbers up to {LARGEST_MAGNITUDE:g}: {advice}"
        )
