"""The catalogue's row of an input: of a finished image, a skipped one, or one that failed.

The row of a finished image is made in one place whether it was just written or is read back from
its store, so that both give the same row but for the time it took.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from chunkmeans.kmeans.model import Model
from chunkmeans.kmeans.samples import Floats
from chunkmeans.results.read.catalog import Row
from chunkmeans.results.read.open_results import SegmentedImage
from chunkmeans.results.store.plain_json import reading
from chunkmeans.results.store.store import image_path
from chunkmeans.results.write.totals import averages, totals_of
from chunkmeans.steps.chunk import Input
from chunkmeans.steps.job import Job


def finished_row(
    inputs: Mapping[str, Any],
    shape: tuple[int, ...],
    model: Model,
    averages: Floats,
    reservations: Sequence[str],
    seconds: float | None = None,
) -> Row:
    """Return the row of an image that has labels.

    Parameters
    ----------
    inputs
        Columns of the input alone (`inputs_of`), and its fingerprint.
    shape
        Pixels along each axis.
    model
        Means that labelled it; counts are those of its own pixels.
    averages
        Average of the pixels of each label, (k, c); NaN where it has none.
    reservations
        What a user should know of it before trusting it.
    """
    pixels, size = int(model.counts.sum()), prod(shape)
    return Row(
        **inputs,
        state="warned" if reservations else "done",
        reason="; ".join(reservations),
        shape=shape,
        k=int((model.counts > 0).sum()),
        iterations=len(model.residuals),
        residual=float(model.residuals[-1]),
        inertia=model.inertia,
        pixels=pixels,
        nodata=size - pixels,
        seconds=seconds,
        store=image_path(inputs["id"]),
        fractions=tuple((model.counts / size).tolist()),
        means=tuple(() if any(m != m for m in row) else tuple(row) for row in averages.tolist()),
    )


def inputs_of(what: Job | Row) -> dict[str, Any]:
    """Return the columns of a row that are of its input alone."""
    extra = what.extra if isinstance(what, Row) else what.manifest
    return {"id": what.id, "source": what.source, "choice": what.choice, "extra": extra}


def stored_row(image: SegmentedImage, name: str, job: Job | None = None) -> Row:
    """Return the row of a complete image, from its store; without the time it took.

    Parameters
    ----------
    name
        Its id.
    job
        Of this run, if it names the image.

    Raises
    ------
    ResultError
        If the store is damaged.
    """
    with reading(image.store.join(image.path)):
        model, made = image.model, image.attributes
        written = totals_of(image.store, image.path, made)
        if written is None:  # only kept where they differ from the means that labelled
            means = np.where(model.counts[:, None] > 0, model.means, np.nan)
        else:
            means = averages(written, model)
        source, reservations = made["source"], list(made["reservations"])
        inputs = {"id": name, "source": str(source["path"])} if job is None else inputs_of(job)
        inputs["fingerprint"] = str(source["fingerprint"])
        return finished_row(inputs, image.shape, model, means, reservations)


def skipped_row(job: Job, source: Input, seconds: float) -> Row:
    """Return the row of an image without a valid pixel."""
    info = source.info
    return Row(
        **inputs_of(job),
        state="skipped",
        reason="no valid pixel: all are nodata, masked, transparent or not finite",
        shape=info.shape,
        pixels=0,
        nodata=info.pixels,
        seconds=seconds,
        fingerprint=source.fingerprint,
    )


def failed_row(
    what: Job | Row, reason: str, seconds: float | None = None, fingerprint: str = ""
) -> Row:
    """Return the row of an input that failed; with a `fingerprint`, it would fail again."""
    return Row(
        **inputs_of(what), state="failed", reason=reason, seconds=seconds, fingerprint=fingerprint
    )
