"""Where tasks run: one seam, this process or a Dask cluster behind it."""

from pipeline.engines.registry import open_engine

__all__ = ["open_engine"]
