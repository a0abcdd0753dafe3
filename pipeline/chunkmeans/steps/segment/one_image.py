"""One image from its pixels to its written store: read, iterate, label, pyramid, mark.

The same function segments a huge image across a cluster and, with a serial engine inside one
task, a small one: only the engine differs.
"""

from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

from chunkmeans.engines.base import Engine
from chunkmeans.events import Advanced, PhaseFinished, PhaseStarted, Watcher, ignore
from chunkmeans.image.grid import Box
from chunkmeans.kmeans.counting.collect import Collected
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.fit import Fit
from chunkmeans.kmeans.model import Model
from chunkmeans.kmeans.samples import Floats
from chunkmeans.results.read.catalog import Row, fractions, means_by_label
from chunkmeans.results.store.store import image_path
from chunkmeans.results.write.complete import Mark
from chunkmeans.results.write.labels import LabelWriter, create_labels
from chunkmeans.results.write.layout import LabelLayout
from chunkmeans.results.write.totals import averages, totals_attributes
from chunkmeans.secrets import without_secrets
from chunkmeans.sources.warnings import heard
from chunkmeans.steps.chunk import Bundle, Input
from chunkmeans.steps.job import Job
from chunkmeans.steps.plan.memory import bundled, cut, plan_chunks
from chunkmeans.steps.resume.saved import Saved
from chunkmeans.steps.segment.collect import collect
from chunkmeans.steps.segment.iterate import iterate
from chunkmeans.steps.segment.label import label


@dataclass(frozen=True, slots=True)
class Labelled:
    """What labelling an image gave."""

    model: Model
    written: Moments
    """Exact totals of its labelled pixels, by mean of the fit."""
    mark: Mark
    """Makes its store complete."""


def segment_image(
    job: Job,
    source: Input,
    engine: Engine,
    watch: Watcher = ignore,
    saved: Saved | None = None,
) -> tuple[Row, Mark | None]:
    """Segment one image with means of its own.

    Returns its row of the catalogue, and the mark that makes its store complete: to be set, if
    there is one, before the row is true.

    Parameters
    ----------
    saved
        What the output has of its fit and its pixels, where that is worth saving.

    Raises
    ------
    ChunkmeansError
        If the image cannot be read, segmented or written; nothing that looks complete is left.
    """
    begin = perf_counter()
    layout = job.output.layout(source, job.settings.k)
    bundles = plan_bundles(source, layout, engine, job.output.mean_image, hold=True)
    try:
        collected = collect(engine, bundles, source.id, watch, saved.samples if saved else None)
        if not collected.pixels:
            return skipped(job, source, perf_counter() - begin), None
        going = saved.fit(job.settings) if saved else None
        fit = iterate(engine, bundles, collected, job.settings, source.id, watch, going)
        done = write_labels(job, source, fit, collected, layout, bundles, engine, watch)
    finally:
        engine.release(source.id)
    return row_of(job, source, done, perf_counter() - begin), done.mark


def plan_bundles(
    source: Input, layout: LabelLayout, engine: Engine, mean_image: bool, *, hold: bool
) -> list[Bundle]:
    """Return the chunks of an image, cut to the memory there is, in bundles."""
    shape, need = plan_chunks(source.info, source.dtype, layout, engine.size, mean_image)
    room = need.hold if hold else 0
    return bundled(list(cut(source, shape, room, source.id)), engine.size)


def write_labels(
    job: Job,
    source: Input,
    fit: Fit,
    collected: Collected | None,
    layout: LabelLayout,
    bundles: list[Bundle],
    engine: Engine,
    watch: Watcher,
) -> Labelled:
    """Write the labels of an image, all levels; what is left to be done is to set its mark.

    With the image's own table in `collected` the totals by label come from it, else they are
    counted while labelling.
    """
    output = job.output
    writer = create_labels(output.store, job.id, layout, source.info, output.mean_image)
    try:
        counted = label(engine, bundles, fit, collected, writer, layout.dtype, job.id, watch)
        write_pyramid(writer, fit.colours, engine, job.id, watch)
        source.check_unchanged()
        model = fit.model(counted)
        pooled = collected is None
        told = {
            "source": source_of(source),
            "group": job.group,
            "initial_means": job.initial_means,
            "reservations": reservations(job, source, model, pooled=pooled),
            **totals_attributes(output.store, writer.path, counted, model, pooled=pooled),
        }
        mark = writer.mark(model, {**output.attributes, **told})
    except BaseException:
        output.store.delete(image_path(job.id))
        raise
    return Labelled(model, counted, mark)


def write_level(item: tuple[int, Box], writer: LabelWriter, colours: Floats) -> None:
    """Write one object of a higher level: what one task does."""
    level, box = item
    writer.write_upper(level, box, colours)


def write_pyramid(
    writer: LabelWriter, colours: Floats, engine: Engine, subject: str, watch: Watcher
) -> None:
    """Write the levels that no labelling task wrote, each from the one below."""
    levels = writer.upper()
    items = [item for level in levels for item in level]
    if not items:
        return
    begin = perf_counter()
    watch(PhaseStarted("pyramid", subject, sum(box.size for _, box in items), len(items)))
    task = partial(write_level, writer=writer, colours=colours)
    for level in levels:
        for outcome in engine.map(task, level, name="pyramid"):
            outcome.unwrap()
            pixels = outcome.item[1].size
            watch(
                Advanced(
                    "pyramid", subject, pixels, pixels * writer.layout.dtype.itemsize,
                    seconds=outcome.seconds, attempts=outcome.attempts,
                )
            )  # fmt: skip
    watch(PhaseFinished("pyramid", subject, perf_counter() - begin))


def source_of(source: Input) -> dict[str, Any]:
    """Return what a result says of where it came from."""
    info = source.info
    options = source.image.options
    return {
        "path": without_secrets(source.image.path),
        "mask": None if source.mask is None else without_secrets(source.mask.path),
        "fingerprint": source.fingerprint,
        "nodata": list(source.nodata),
        "dtype": str(info.dtype),
        "channel_names": list(info.channel_names),
        "series": options.series,
        "axes": options.axes,
        "level": options.level,
        "region": None if options.region is None else [list(span) for span in options.region],
        "channels": None if options.channels is None else list(options.channels),
    }


def reservations(job: Job, source: Input, model: Model, *, pooled: bool) -> list[str]:
    """Return what a user should know of a result before trusting it.

    In a `pooled` fit an image need not have pixels of every label.
    """
    found = list(dict.fromkeys([*source.info.warnings, *heard()]))
    if not model.converged:
        found.append(
            f"not converged: E is {model.residuals[-1]:g} after {len(model.residuals)} iterations"
        )
    labels = model.k if pooled else int((model.counts > 0).sum())
    if labels < job.settings.k:
        found.append(f"{labels} label{'s' * (labels != 1)} instead of {job.settings.k}")
    return found


def row_of(job: Job, source: Input, done: Labelled, seconds: float, *, pooled: bool = False) -> Row:
    """Return the catalogue's row of an image that has a result."""
    model = done.model
    found = reservations(job, source, model, pooled=pooled)
    info = source.info
    pixels = int(model.counts.sum())
    return Row(
        id=job.id,
        source=job.source,
        state="warned" if found else "done",
        reason="; ".join(found),
        shape=info.shape,
        k=int((model.counts > 0).sum()),
        iterations=len(model.residuals),
        residual=float(model.residuals[-1]),
        inertia=model.inertia,
        pixels=pixels,
        nodata=info.pixels - pixels,
        seconds=seconds,
        store=image_path(job.id),
        fractions=fractions(model, info.pixels),
        means=means_by_label(averages(done.written, model)),
        fingerprint=source.fingerprint,
        choice=job.choice,
        extra=job.manifest,
    )


def skipped(job: Job, source: Input, seconds: float) -> Row:
    """Return the row of an image without a valid pixel."""
    info = source.info
    return Row(
        id=job.id,
        source=job.source,
        state="skipped",
        reason="no valid pixel: all are nodata, masked, transparent or not finite",
        shape=info.shape,
        pixels=0,
        nodata=info.pixels,
        seconds=seconds,
        fingerprint=source.fingerprint,
        choice=job.choice,
        extra=job.manifest,
    )
