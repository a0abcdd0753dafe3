"""A TIFF's chain of page directories, followed before tifffile reads what is in them.

tifffile makes an object for each; a small file can hold millions, or a chain that ends in itself.
"""

from struct import unpack
from typing import BinaryIO

from tifffile import TIFF

from chunkmeans.config.models import Limits
from chunkmeans.errors import SourceError
from chunkmeans.sources.base import check_limit

FORMATS = {b"II*\0": TIFF.CLASSIC_LE, b"MM\0*": TIFF.CLASSIC_BE}
FORMATS |= {b"II+\0": TIFF.BIG_LE, b"MM\0+": TIFF.BIG_BE}
"""How numbers are stored in a TIFF, by its first bytes."""


def check_directories(file: BinaryIO, limits: Limits) -> None:
    """Follow the chain of directories from the header to its end.

    A chain that ends beyond the file is left to tifffile, which handles more kinds of odd files.

    Raises
    ------
    SourceError
        If the chain comes back to itself, or is longer than ``images.limits.pages``.
    """
    size = file.seek(0, 2)
    file.seek(0)
    tiff = FORMATS[file.read(4)]
    if tiff.is_bigtiff:
        file.seek(8)
    seen: set[int] = set()
    start = file.read(tiff.offsetsize)
    while len(start) == tiff.offsetsize and (at := unpack(tiff.offsetformat, start)[0]):
        if at in seen:
            raise SourceError(
                f"the file is damaged: after {len(seen)} pages its chain of pages leads back "
                f"to the one at byte {at:,}"
            )
        seen.add(at)
        check_limit(limits, "pages", len(seen), "pages in its chain, at least")
        if at >= size:
            break
        file.seek(at)
        tags = file.read(tiff.tagnosize).ljust(tiff.tagnosize, b"\0")
        after = file.tell() + unpack(tiff.tagnoformat, tags)[0] * tiff.tagsize
        file.seek(min(after, size))
        start = file.read(tiff.offsetsize)
