"""One image from its pixels to its written store: read, iterate, label, pyramid, mark.

The same function segments a huge image across a cluster and, with a serial engine inside one
task, a small one: only the engine differs.
"""

from functools import partial
from time import perf_counter
from typing import Any

from chunkmeans.engines.base import Engine
from chunkmeans.events import Watcher, ignore
from chunkmeans.kmeans.counting.collect import Collected
from chunkmeans.kmeans.fit import Fit
from chunkmeans.kmeans.model import Model
from chunkmeans.kmeans.samples import Floats
from chunkmeans.results.store.store import image_path
from chunkmeans.results.write.labels import LabelWriter, create_labels
from chunkmeans.results.write.totals import averages, totals_attributes
from chunkmeans.secrets import without_secrets
from chunkmeans.sources.warnings import collected_warnings
from chunkmeans.steps.chunk import Input
from chunkmeans.steps.job import Job, Opened
from chunkmeans.steps.plan.memory import bundled, planned_chunks
from chunkmeans.steps.resume.catalog_rows import finished_row, inputs_of, skipped_row
from chunkmeans.steps.resume.outcome import Ending
from chunkmeans.steps.resume.saved import Saved
from chunkmeans.steps.segment.collect import collect
from chunkmeans.steps.segment.iterate import iterate
from chunkmeans.steps.segment.label import label
from chunkmeans.steps.segment.scan import Scan, phase


def segment_image(
    opened: Opened, engine: Engine, watch: Watcher = ignore, saved: Saved | None = None
) -> Ending:
    """Segment one image with means of its own; returns how it ended, its mark still to be set.

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
    job, source = opened.job, opened.source
    scan = scan_of(opened, engine, watch, cached=True)
    try:
        collected = collect(scan, saved)
        if not collected.pixels:
            return skipped(opened, begin)
        so_far = saved.fit(job.settings) if saved else None
        fit = iterate(scan, collected, job.settings, so_far)
        return write_labels(opened, fit, collected, scan, begin)
    finally:
        engine.release(source.id)


def skipped(opened: Opened, begin: float) -> Ending:
    """Return the ending of an image without a valid pixel, whose work began at `begin`."""
    row = skipped_row(opened.job, opened.source, perf_counter() - begin)
    return Ending(row, opened.source.image.info.nbytes)


def scan_of(opened: Opened, engine: Engine, watch: Watcher, *, cached: bool) -> Scan:
    """Return the passes over an image, cut to the memory there is; with `cached`, kept between."""
    name = opened.source.id
    chunks = planned_chunks(opened, engine.size, name, cached=cached)
    return Scan(engine, name, bundled(chunks, engine.size), watch)


def write_labels(
    opened: Opened, fit: Fit, collected: Collected | None, scan: Scan, begin: float
) -> Ending:
    """Write the labels of an image, all levels; returns how it ended, its mark still to be set.

    With the image's own table in `collected` the totals by label come from it, else they are
    counted while labelling, and are in the ending. Of an image without a valid pixel nothing is
    left. Its work began at `begin`, by `perf_counter`.
    """
    job, source, layout = opened.job, opened.source, opened.layout
    output = job.output
    writer = create_labels(output.store, job.id, layout, source.info, output.asked.mean_image)
    try:
        counted = label(scan, fit, collected, writer.write, layout.dtype)
        write_pyramid(writer, fit.colours, scan)
        source.check_unchanged()
        model = fit.model(counted)
        pooled = collected is None
        if not model.counts.any():
            output.store.delete(image_path(job.id))
            return skipped(opened, begin)
        found = reservations(job, source, model, pooled=pooled)
        described = {
            "source": source_of(source),
            "group": job.group,
            "initial_means": job.initial_means,
            "reservations": found,
            **totals_attributes(output.store, writer.path, counted, model, pooled=pooled),
        }
        mark = writer.mark(model, {**output.attributes, **described})
    except BaseException:
        output.store.delete(image_path(job.id))
        raise
    inputs, by_label = inputs_of(job), averages(counted, model)
    inputs["fingerprint"], seconds = source.fingerprint, perf_counter() - begin
    row = finished_row(inputs, source.info.shape, model, by_label, found, seconds)
    return Ending(row, source.image.info.nbytes, written=counted if pooled else None, mark=mark)


def write_pyramid(writer: LabelWriter, colours: Floats, scan: Scan) -> None:
    """Write the levels that no labelling task wrote, each from the one below."""
    levels = writer.layout.upper()
    items = [item for level in levels for item in level]
    if not items:
        return
    task = partial(writer.write_upper, colours=colours)
    total = sum(box.size for _, box in items)
    with phase(scan.watch, "pyramid", scan.subject, total, len(items)) as advance:
        for level in levels:  # each is made of the one before
            for outcome in scan.engine.map(task, level, name="pyramid"):
                outcome.unwrap()
                pixels = outcome.item[1].size
                nbytes = pixels * writer.layout.dtype.itemsize
                advance(pixels, nbytes, 1, outcome.seconds, outcome.attempts)


def source_of(source: Input) -> dict[str, Any]:
    """Return what a result says of where it came from."""
    info, options = source.info, source.image.options
    chosen = ("series", "axes", "level", "region", "channels")
    return {
        "path": without_secrets(source.image.path),
        "mask": None if source.mask is None else without_secrets(source.mask.path),
        "fingerprint": source.fingerprint,
        "nodata": list(source.nodata),
        "dtype": str(info.dtype),
        "channel_names": info.channel_names,
        **{name: getattr(options, name) for name in chosen},
    }


def reservations(job: Job, source: Input, model: Model, *, pooled: bool) -> list[str]:
    """Return what a user should know of a result before trusting it.

    In a `pooled` fit an image need not have pixels of every label.
    """
    found = list(dict.fromkeys([*source.info.warnings, *collected_warnings()]))
    if not model.converged:
        found.append(
            f"not converged: E is {model.residuals[-1]:g} after {len(model.residuals)} iterations"
        )
    labels = model.k if pooled else int((model.counts > 0).sum())
    if labels < job.settings.k:
        found.append(f"{labels} label{'s' * (labels != 1)} instead of {job.settings.k}")
    return found
