"""Where pixels come from: one module or folder per family of formats.

`open_image` turns a path or URL into an `Image`; `collect_entries` turns what a config names
into a list of them. A new format is a subclass of `Image` with two methods, and one line in
`registry` or an entry point of another package.
"""

from chunkmeans.image.grid import Box
from chunkmeans.image.info import ImageInfo, Pixels
from chunkmeans.sources.base import Image, ReadOptions
from chunkmeans.sources.files.byte_ranges import open_file
from chunkmeans.sources.find.collection import collect_entries
from chunkmeans.sources.find.manifest import Entry
from chunkmeans.sources.registry import open_image, suffixes

__all__ = [
    "Box", "Entry", "Image", "ImageInfo", "Pixels", "ReadOptions", "collect_entries", "open_file",
    "open_image", "suffixes",
]  # fmt: skip
