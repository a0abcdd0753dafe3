"""Zarr arrays as results want them: checksums, no holes, and nothing read before a write."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import zarr
from zarr.abc.buffer import Buffer, BufferPrototype
from zarr.abc.store import ByteRequest
from zarr.abc.store import Store as ZarrStore
from zarr.codecs import ZstdCodec
from zarr.storage import WrapperStore

from pipeline.results.store import METADATA

# A missing chunk reads as the fill value, silently. As all are written, a missing one is a hole.
_ALL_CHUNKS: Any = {"write_empty_chunks": True}


def create_array(
    target: ZarrStore,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    chunk: tuple[int, ...],
    shard: tuple[int, ...] | None,
    axes: Sequence[str],
) -> Any:
    """Create the array `name`, one word of `axes` per axis, and return it to be written."""
    return zarr.create_array(
        target,
        name=name,
        shape=shape,
        dtype=dtype,
        chunks=chunk,
        shards=shard,
        compressors=ZstdCodec(checksum=True),
        fill_value=0,
        dimension_names=list(axes),
        config=_ALL_CHUNKS,
    )


def open_to_write(target: ZarrStore, name: str) -> Any:
    """Return the array `name`, to be written."""
    # not by the `config` of open_array, which zarr 3.1 takes and forgets
    return zarr.open_array(target, path=name, mode="r+").with_config(_ALL_CHUNKS)


class WithoutLooking(WrapperStore[ZarrStore]):
    """A store in which no chunk is ever found, for those who write whole objects only.

    Before zarr writes an object it may read and decode the one that was there, and fails for
    ever where that one is torn. Nothing of it would be kept, so nothing of it is read: this
    costs a request less, and needs no moment in which the object is deleted.
    """

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return metadata, and None for every chunk."""
        if not key.endswith(METADATA):
            return None
        return await self._store.get(key, prototype, byte_range)

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return None for every chunk; newer zarrs read chunks by this."""
        if not key.endswith(METADATA):
            return None
        buffer: Buffer | None = self._store.get_sync(  # type: ignore[attr-defined]
            key, prototype=prototype, byte_range=byte_range
        )
        return buffer
