"""Where tasks run: one seam, this process or a Dask cluster behind it."""

from chunkmeans.engines.registry import engine_size, job_script, open_engine

__all__ = ["engine_size", "job_script", "open_engine"]
