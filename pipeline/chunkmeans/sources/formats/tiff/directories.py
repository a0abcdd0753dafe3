"""A TIFF's chain of page directories, followed before tifffile reads what is in them.

tifffile makes an object for each; a small file can hold millions, or a chain that ends in itself.
"""

import struct
from typing import BinaryIO

from chunkmeans.config.models import Limits
from chunkmeans.errors import SourceError
from chunkmeans.sources.base import check_limit

_CLASSIC, _BIG = 42, 43
_ENTRY = {_CLASSIC: 12, _BIG: 20}
"""Bytes of a tag."""


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
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    kind = int.from_bytes(head[2:4], "little" if order == "<" else "big")
    number, offset = (f"{order}H", f"{order}I") if kind == _CLASSIC else (f"{order}Q",) * 2
    start = head[4:8] if kind == _CLASSIC else head[8:16]
    seen: set[int] = set()
    while len(start) == struct.calcsize(offset) and (at := struct.unpack(offset, start)[0]):
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
        tags = file.read(struct.calcsize(number))
        if len(tags) < struct.calcsize(number):
            break
        after = file.tell() + struct.unpack(number, tags)[0] * _ENTRY[kind]
        if after >= size:
            break
        file.seek(after)
        start = file.read(struct.calcsize(offset))
