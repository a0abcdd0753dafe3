"""Where pixels come from: one module per family of formats.

`open_image` turns a path or URL into an `Image`. A new format is one module with a subclass of
`Image` and one line in `registry`.
"""

from pipeline.sources.base import Image, ReadOptions
from pipeline.sources.registry import open_image, suffixes

__all__ = ["Image", "ReadOptions", "open_image", "suffixes"]
