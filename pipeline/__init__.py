"""Exact k-means segmentation of very large images and whole image databases.

>>> from pipeline import segment
>>> segment([[1, 1, 9], [1, 9, 9]], k=2).labels.tolist()
[[1, 1, 2], [1, 2, 2]]
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.api import apply, plan, run, segment
    from pipeline.config import Config, load_config, make_config
    from pipeline.errors import (
        ChunkError,
        ChunkmeansError,
        ClusterError,
        ConfigError,
        ResultError,
        SourceError,
    )
    from pipeline.grid import Box
    from pipeline.results.open import open_run
    from pipeline.sources import ReadOptions, open_image
    from pipeline.steps.array import Segmentation

__all__ = [
    "Box",
    "ChunkError",
    "ChunkmeansError",
    "ClusterError",
    "Config",
    "ConfigError",
    "ReadOptions",
    "ResultError",
    "Segmentation",
    "SourceError",
    "apply",
    "load_config",
    "make_config",
    "open_image",
    "open_run",
    "plan",
    "run",
    "segment",
]

# Imported when first asked for: the command line's --help must not wait for Numba and zarr.
_HOMES = {
    "pipeline.api": ("apply", "plan", "run", "segment"),
    "pipeline.config": ("Config", "load_config", "make_config"),
    "pipeline.errors": tuple(name for name in __all__ if name.endswith("Error")),
    "pipeline.grid": ("Box",),
    "pipeline.results.open": ("open_run",),
    "pipeline.sources": ("ReadOptions", "open_image"),
    "pipeline.steps.array": ("Segmentation",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'pipeline' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
