"""Where pixels come from: one module per family of formats.

`open_image` turns a path or URL into an `Image`; `collect_entries` turns what a config names
into a list of them. A new format is one module with a subclass of `Image` and one line in
`registry`.
"""

from chunkmeans.sources.base import Image, ReadOptions
from chunkmeans.sources.find.collection import Entry, collect_entries
from chunkmeans.sources.registry import open_image, suffixes

__all__ = ["Entry", "Image", "ReadOptions", "collect_entries", "open_image", "suffixes"]
