"""Ways to do the same: the planner's numbers, of which nothing may show in a result."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from chunkmeans.kmeans.counting import colours, sketch
from chunkmeans.steps import chunk
from chunkmeans.steps.plan import memory


@dataclass(frozen=True)
class Way:
    """How a run is done; nothing of it may show in a result."""

    cluster: str = "serial"
    """``serial``, or the number of a shared Dask cluster's workers."""
    chunk: int = memory.CHUNK_PIXELS
    """Pixels of a chunk, at most, unless one shard has more."""
    bundle: int = memory.BUNDLE_PIXELS
    """Pixels of a task."""
    piece: int = memory.PIECE
    """Pixels decoded at a time."""
    small: int = memory.SMALL_PIXELS
    """Up to here an image is one task."""
    table_bits: int = colours.TABLE_BITS
    """Integer vectors up to this width are counted in a table."""
    vectors: int = sketch.LIMIT
    """Distinct vectors kept, at most; beyond, every iteration goes over the pixels."""
    libraries: int = memory.LIBRARIES
    """Bytes a worker is thought to need: with all of them there is nowhere to hold pixels."""

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Set the planner's numbers."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(memory, "CHUNK_PIXELS", self.chunk)
            patch.setattr(memory, "BUNDLE_PIXELS", self.bundle)
            patch.setattr(memory, "SMALL_PIXELS", self.small)
            patch.setattr(memory, "SMALL_AND_FEW_PIXELS", self.small)
            patch.setattr(memory, "PIECE", self.piece)
            patch.setattr(memory, "LIBRARIES", self.libraries)
            patch.setattr(chunk, "PIECE", self.piece)
            patch.setattr(colours, "TABLE_BITS", self.table_bits)
            patch.setattr(sketch, "LIMIT", self.vectors)
            if self.vectors < sketch.SKETCH:
                patch.setattr(sketch, "SKETCH", self.vectors)
            yield


USUAL = Way()
RAW = {"table_bits": 0, "vectors": 8}
"""The way over the pixels, whatever they are; for given means, as the sketch is smaller too."""
