"""Dask clusters: how one is asked for, opened, sized and secured."""
