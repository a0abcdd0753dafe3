"""Imported by workers: they keep few distinct vectors, so that iterations go over the pixels."""

from chunkmeans.kmeans.counting import colours, sketch

from tests.support.ways import RAW


def dask_setup(worker):
    """Set the numbers that `Way` sets in the driver."""
    colours.TABLE_BITS = RAW["table_bits"]
    sketch.LIMIT = sketch.SKETCH = RAW["vectors"]
