"""The engine on a Dask cluster."""
