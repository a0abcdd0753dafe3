"""Conformance classes for authors of plug-ins: inherit one, state what is yours, run pytest."""

import lazy_loader
import pytest

for _name in ("clusters", "engines", "exporters", "features", "sources"):
    pytest.register_assert_rewrite(f"{__name__}.{_name}")  # so that failures show both values

# Of `__init__.pyi`, when first asked for: each needs what its seam needs.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
