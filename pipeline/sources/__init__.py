"""Where pixels come from: one module per family of formats.

`open_image` turns a path or URL into an `Image`; `collect_entries` turns what a config names
into a list of them. A new format is one module with a subclass of `Image` and one line in
`registry`.
"""

from pipeline.sources.base import Image, ReadOptions
from pipeline.sources.collection import Entry, collect_entries
from pipeline.sources.registry import open_image, suffixes

__all__ = ["Entry", "Image", "ReadOptions", "collect_entries", "open_image", "suffixes"]
