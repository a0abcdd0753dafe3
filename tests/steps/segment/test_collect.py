"""What one read of all pixels leaves, however they are cut."""

import numpy as np
import pytest
from chunkmeans import SourceError
from chunkmeans.engines.serial import SerialEngine
from chunkmeans.sources.array import MemoryImage
from chunkmeans.steps.chunk import Input
from chunkmeans.steps.plan.memory import bundled, cut
from chunkmeans.steps.segment.collect import collect
from chunkmeans.steps.segment.scan import Scan
from hypothesis import given
from hypothesis import strategies as st

from tests.steps.examples import source
from tests.support import oracle
from tests.support.judge import distinct
from tests.support.strategies import chunk_shapes, images
from tests.test_exactness import AXES


@given(data=st.data())
def test_what_is_collected_is_the_multiset_of_valid_pixels(data):
    image = data.draw(images())
    edge = data.draw(chunk_shapes(image.shape))
    given_source = source(image.values, AXES[image.values.ndim], nodata=image.nodata or None)
    engine = SerialEngine()
    bundles = bundled(cut(given_source, edge, 0, "array"), engine.size)

    found = collect(Scan(engine, "array", bundles))

    valid = oracle.valid(image.values, image.nodata)
    assert (found.pixels, found.invalid) == (valid.sum(), (~valid).sum())
    expected = distinct(image.values, image.nodata)
    np.testing.assert_array_equal(found.samples().values, expected.values)
    np.testing.assert_array_equal(found.samples().counts, expected.counts)


def test_a_chunk_that_cannot_be_read_is_an_error():
    class Broken:
        shape, dtype = (4, 4), np.dtype(np.uint8)

        def __getitem__(self, index):
            raise OSError("gone")

    engine = SerialEngine()
    bundles = [tuple(cut(source_of(Broken()), (4, 4), 0, "array"))]
    with pytest.raises(SourceError, match=r"array: cannot be read at \[0:4, 0:4\]: gone"):
        collect(Scan(engine, "array", bundles))


def source_of(array):
    """Return an input whose fingerprint needs no pixel."""
    image = MemoryImage(array, "yx")
    return Input("array", image, None, (), "as it is", np.dtype(np.uint8))
