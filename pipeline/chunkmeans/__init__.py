"""Exact k-means segmentation of very large images and whole image databases.

>>> from chunkmeans import segment
>>> segment([[1, 1, 9], [1, 9, 9]], k=2).labels.tolist()
[[1, 1, 2], [1, 2, 2]]
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chunkmeans.api import apply as apply
    from chunkmeans.api import export as export
    from chunkmeans.api import plan as plan
    from chunkmeans.api import run as run
    from chunkmeans.api import segment as segment
    from chunkmeans.config import Config as Config
    from chunkmeans.config import load_config as load_config
    from chunkmeans.config import make_config as make_config
    from chunkmeans.errors import ChunkError as ChunkError
    from chunkmeans.errors import ChunkmeansError as ChunkmeansError
    from chunkmeans.errors import ClusterError as ClusterError
    from chunkmeans.errors import ConfigError as ConfigError
    from chunkmeans.errors import ResultError as ResultError
    from chunkmeans.errors import SourceError as SourceError
    from chunkmeans.image.grid import Box as Box
    from chunkmeans.results.read.open_results import open_run as open_run
    from chunkmeans.sources import ReadOptions as ReadOptions
    from chunkmeans.sources import open_image as open_image
    from chunkmeans.steps.segment.in_memory import Segmentation as Segmentation
    from chunkmeans.version import __version__ as __version__

# Imported when first asked for: the command line's --help must not wait for Numba and zarr.
_HOMES = {
    "chunkmeans.api": ("apply", "export", "plan", "run", "segment"),
    "chunkmeans.config": ("Config", "load_config", "make_config"),
    "chunkmeans.errors": (
        "ChunkError",
        "ChunkmeansError",
        "ClusterError",
        "ConfigError",
        "ResultError",
        "SourceError",
    ),
    "chunkmeans.image.grid": ("Box",),
    "chunkmeans.results.read.open_results": ("open_run",),
    "chunkmeans.sources": ("ReadOptions", "open_image"),
    "chunkmeans.steps.segment.in_memory": ("Segmentation",),
    "chunkmeans.version": ("__version__",),
}
__all__ = sorted(name for names in _HOMES.values() for name in names)


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'chunkmeans' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
