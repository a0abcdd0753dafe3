"""Exact k-means on arrays: no files, no Dask."""
