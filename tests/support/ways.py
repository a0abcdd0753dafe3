"""Ways to do the same: the planner's numbers, of which nothing may show in a result."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from chunkmeans.kmeans.counting import colours, sketch
from chunkmeans.steps import tuning
from chunkmeans.steps.tuning import DEFAULT


def tuned(monkeypatch, **numbers):
    """Make all jobs with these numbers of `Tuning`."""
    monkeypatch.setattr(tuning, "DEFAULT", replace(tuning.DEFAULT, **numbers))


@dataclass(frozen=True)
class Way:
    """How a run is done; nothing of it may show in a result."""

    cluster: str = "serial"
    """``serial``, or the number of a shared Dask cluster's workers."""
    chunk: int = DEFAULT.chunk_pixels
    """Pixels of a chunk, at most, unless one shard has more."""
    bundle: int = DEFAULT.bundle_pixels
    """Pixels of a task."""
    piece: int = DEFAULT.piece_pixels
    """Pixels decoded at a time."""
    small: int = DEFAULT.small_pixels
    """Up to here an image is one task."""
    table_bits: int = colours.TABLE_BITS
    """Integer vectors up to this width are counted in a table."""
    vectors: int = sketch.LIMIT
    """Distinct vectors kept, at most; beyond, every iteration goes over the pixels."""
    libraries: int = DEFAULT.libraries
    """Bytes a worker is thought to need: with all of them there is nowhere to hold pixels."""

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Set the planner's numbers."""
        with pytest.MonkeyPatch.context() as patch:
            tuned(
                patch,
                chunk_pixels=self.chunk,
                bundle_pixels=self.bundle,
                small_pixels=self.small,
                small_and_few_pixels=self.small,
                piece_pixels=self.piece,
                libraries=self.libraries,
            )
            patch.setattr(colours, "TABLE_BITS", self.table_bits)
            patch.setattr(sketch, "LIMIT", self.vectors)
            if self.vectors < sketch.SKETCH:
                patch.setattr(sketch, "SKETCH", self.vectors)
            yield


USUAL = Way()
RAW = {"table_bits": 0, "vectors": 8}
"""The way over the pixels, whatever they are; for given means, as the sketch is smaller too."""
