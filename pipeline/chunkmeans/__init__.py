"""Exact k-means segmentation of very large images and whole image databases.

>>> from chunkmeans import segment
>>> segment([[1, 1, 9], [1, 9, 9]], k=2).labels.tolist()
[[1, 1, 2], [1, 2, 2]]
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chunkmeans.api import apply, export, plan, run, segment
    from chunkmeans.config import Config, load_config, make_config
    from chunkmeans.errors import (
        ChunkError,
        ChunkmeansError,
        ClusterError,
        ConfigError,
        ResultError,
        SourceError,
    )
    from chunkmeans.image.grid import Box
    from chunkmeans.results.read.open_results import open_run
    from chunkmeans.sources import ReadOptions, open_image
    from chunkmeans.steps.segment.in_memory import Segmentation

    __version__: str

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
    "export",
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
    "chunkmeans.api": ("apply", "export", "plan", "run", "segment"),
    "chunkmeans.config": ("Config", "load_config", "make_config"),
    "chunkmeans.errors": tuple(name for name in __all__ if name.endswith("Error")),
    "chunkmeans.image.grid": ("Box",),
    "chunkmeans.results.read.open_results": ("open_run",),
    "chunkmeans.sources": ("ReadOptions", "open_image"),
    "chunkmeans.steps.segment.in_memory": ("Segmentation",),
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib import metadata

        try:
            return metadata.version("chunkmeans")
        except metadata.PackageNotFoundError:  # imported from a folder, without pip
            return "0+unknown"
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'chunkmeans' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
