"""One image into an array of labels, in this process: no store, no cluster."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.engines.base import Engine
from chunkmeans.errors import ChunkError
from chunkmeans.events import Watcher, ignore
from chunkmeans.image.grid import Box
from chunkmeans.kmeans.fit import FitSettings
from chunkmeans.kmeans.model import Model
from chunkmeans.kmeans.samples import Floats
from chunkmeans.results.write.layout import plan_labels
from chunkmeans.steps.chunk import Input
from chunkmeans.steps.plan.memory import bundled, cut, plan_chunks
from chunkmeans.steps.segment.collect import collect
from chunkmeans.steps.segment.iterate import iterate
from chunkmeans.steps.segment.label import label
from chunkmeans.steps.segment.scan import Scan


@dataclass(frozen=True)
class Segmentation:
    """Labels of an image in memory, and the model that gave them."""

    labels: NDArray[Any]
    """0 for no data, 1 (darkest) to k; uint8 up to 255 labels, else uint16; axes as `axes`."""
    axes: str
    """A letter of ``tzyx`` per axis of `labels`."""
    model: Model
    """Means, counts, deviations and the history of the fit."""

    @property
    def means(self) -> Floats:
        """Mean of each label in the image's own units, (k, c)."""
        return self.model.means

    @cached_property
    def mean_image(self) -> Floats:
        """Each pixel replaced by its label's mean, shape of `labels` + (c,); NaN for no data."""
        table = np.vstack([np.full(self.means.shape[1], np.nan), self.means])
        return np.asarray(table[self.labels])


def segment_array(
    source: Input, settings: FitSettings, engine: Engine, watch: Watcher = ignore
) -> Segmentation:
    """Segment an image into an array; `engine` runs in this process.

    Raises
    ------
    ChunkError
        If the image has no valid pixel.
    """
    info = source.info
    layout = plan_labels(info, settings.k, pyramid="none")
    shape, need = plan_chunks(source, layout, engine.size, mean_image=False)
    bundles = bundled(cut(source, shape, need.cache_bytes, source.id), engine.size)
    scan = Scan(engine, source.id, bundles, watch)
    labels = np.zeros(info.shape, layout.dtype)

    def write(box: Box, values: NDArray[Any], colours: Floats) -> None:
        labels[box.slices] = values

    try:
        collected = collect(scan)
        if not collected.pixels:
            raise ChunkError(
                f"{source.image.path}: no valid pixel: all are nodata, masked, transparent or not "
                "finite"
            )
        fit = iterate(scan, collected, settings)
        counted = label(scan, fit, collected, write, layout.dtype)
    finally:
        engine.release(source.id)
    return Segmentation(labels, info.axes, fit.model(counted))
