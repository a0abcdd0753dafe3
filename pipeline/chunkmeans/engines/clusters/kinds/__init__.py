"""The kinds of Dask clusters, a module each."""
