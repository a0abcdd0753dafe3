"""Conformance classes for authors of plug-ins: inherit one, state what is yours, run pytest."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from chunkmeans.testing.clusters import ClusterKindTests
    from chunkmeans.testing.engines import EngineTests
    from chunkmeans.testing.exporters import ExporterTests
    from chunkmeans.testing.features import FeatureTests
    from chunkmeans.testing.sources import FileSourceTests, SourceTests

__all__ = [
    "ClusterKindTests",
    "EngineTests",
    "ExporterTests",
    "FeatureTests",
    "FileSourceTests",
    "SourceTests",
]

# Imported when first asked for: each needs what its seam needs.
_HOMES = {
    "ClusterKindTests": "chunkmeans.testing.clusters",
    "EngineTests": "chunkmeans.testing.engines",
    "ExporterTests": "chunkmeans.testing.exporters",
    "FeatureTests": "chunkmeans.testing.features",
    "FileSourceTests": "chunkmeans.testing.sources",
    "SourceTests": "chunkmeans.testing.sources",
}
pytest.register_assert_rewrite(*set(_HOMES.values()))  # so that failures show both values


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'chunkmeans.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
