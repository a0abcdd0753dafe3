"""Conformance classes for authors of plug-ins: inherit one, state what is yours, run pytest."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from chunkmeans.testing.exporters import ExporterTests

__all__ = ["ExporterTests"]

# Imported when first asked for: each needs what its seam needs.
_HOMES = {
    "ExporterTests": "chunkmeans.testing.exporters",
}
pytest.register_assert_rewrite(*set(_HOMES.values()))  # so that failures show both values


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'chunkmeans.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
