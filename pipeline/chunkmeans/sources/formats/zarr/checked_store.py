"""A zarr store that refuses chunks which are shorter than their header promises.

Blosc, for years the default of zarr, relies on the length that a chunk's first bytes name and
reads past the end of a truncated chunk: other pixels come out, and no error. An empty shard
reads as one without chunks.
"""

from typing import Any, Self

from zarr.abc.store import ByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import WrapperStore

_METADATA = frozenset({"zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"})
_BLOSC_HEADER = 16
_BLOSC_LENGTH = slice(12, 16)


class CheckedStore(WrapperStore[Store]):
    """A store whose chunks are as long as was requested, or as their own header promises.

    Parameters
    ----------
    store
        Where the chunks are.
    blosc
        Whether each value that is no metadata is one Blosc buffer.
    """

    def __init__(self, store: Store, blosc: bool = False) -> None:
        super().__init__(store)
        self.blosc = blosc

    def _with_store(self, store: Store) -> Self:
        return type(self)(store, self.blosc)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return the value, or a part of it; None where there is none."""
        value = await super().get(key, prototype, byte_range)
        if value is not None:
            wanted = self._wanted(key, value, byte_range)
            if len(value) < wanted:
                raise ValueError(f"chunk {key!r} is cut short: {len(value)} of {wanted} bytes")
        return value

    def _wanted(self, key: str, value: Any, byte_range: ByteRequest | None) -> int:
        """Fewest bytes that `value` must have."""
        if isinstance(byte_range, RangeByteRequest):
            return byte_range.end - byte_range.start
        if isinstance(byte_range, SuffixByteRequest):
            return byte_range.suffix
        if not self.blosc or byte_range is not None or key.rpartition("/")[2] in _METADATA:
            return 1
        if len(value) < _BLOSC_HEADER:
            return _BLOSC_HEADER
        return int.from_bytes(value[_BLOSC_LENGTH].to_bytes(), "little")
