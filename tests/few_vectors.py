"""Imported by workers: they keep few distinct vectors, so that iterations go over the pixels."""

from pipeline.kmeans import distinct, table
from tests.ways import RAW


def dask_setup(worker):
    """Set the numbers that `Way` sets in the driver."""
    table.TABLE_BITS = RAW["table_bits"]
    distinct.LIMIT = distinct.SKETCH = RAW["vectors"]
