"""Huge images in an instant: a few pieces are compressed once and stand in many places.

A TIFF's table says where each tile lies, and may name one place many times. So a gigapixel is a
table and a few megabytes of tiles; whoever reads it decodes every tile all the same.
"""

import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.pictures import cell

EDGE = 512
"""Of a tile, pixels."""

_SHORT, _LONG8 = 3, 16
_DEFLATE, _PLAIN = 8, 1
_FORMATS = {"u": 1, "i": 2, "f": 3}
"""TIFF's number of a kind of numbers."""


def real_tiles(number: int, dtype: str, channels: int) -> list[NDArray[Any]]:
    """Return tiles (EDGE, EDGE, channels) of real pictures, with a sensor's noise above 8 bits.

    Channels beyond red, green and blue are mixtures of them, as in `tests.benchmarks.inputs`.
    """
    kind = np.dtype(dtype)
    tiles = []
    for n in range(number):
        rng = np.random.default_rng(n)
        rgb = cell((n,), EDGE)
        mix = np.eye(3, channels) if channels <= 3 else rng.dirichlet(np.ones(3), channels).T
        values = rgb @ mix.astype(np.float32)
        if kind.itemsize > 1:
            values = values * 200 + rng.normal(0, 3 + np.sqrt(values), values.shape)
        tiles.append(np.clip(values, 0, 255 if kind.itemsize == 1 else 60_000).astype(kind))
    return tiles


def every_colour() -> list[NDArray[np.uint8]]:
    """Return 64 tiles that hold each of the 2**24 colours once, in no order."""
    codes = np.random.default_rng(0).permutation(2**24).astype(np.uint32)
    colours = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1).astype(np.uint8)
    return list(colours.reshape(-1, EDGE, EDGE, 3))


def noise(number: int, dtype: str, channels: int) -> list[NDArray[Any]]:
    """Return tiles in which no vector of more than 24 bits occurs twice, as good as never."""
    rng = np.random.default_rng(1)
    shape = (EDGE, EDGE, channels)
    if np.dtype(dtype).kind == "f":
        return [rng.normal(size=shape).astype(dtype) for _ in range(number)]
    top = np.iinfo(dtype).max
    return [rng.integers(0, top, shape, dtype, endpoint=True) for _ in range(number)]


def write_tiled(path: Path, tiles: Sequence[NDArray[Any]], edge: int) -> Path:
    """Write a square TIFF of `edge` pixels in deflated tiles, taken in turn; a row is shifted."""
    across = -(-edge // EDGE)
    places = np.add.outer(np.arange(across) * 7, np.arange(across)).ravel() % len(tiles)
    pieces = [zlib.compress(tile.tobytes(), 1) for tile in tiles]
    return _write(path, pieces, places, tiles[0], (edge, edge), _DEFLATE, {322: EDGE, 323: EDGE})


def write_strip(path: Path, rows: NDArray[Any], edge: int, *, deflated: bool) -> Path:
    """Write a TIFF of one strip: `rows` (n, width, channels) again and again, `edge` in all."""
    data = rows.tobytes()
    again = (data for _ in range(edge // len(rows)))
    piece = _deflated(again) if deflated else again
    shape = (edge // len(rows) * len(rows), rows.shape[1])
    tags = {278: shape[0]}
    return _write(path, [piece], np.zeros(1, int), rows, shape, _DEFLATE if deflated else 1, tags)


def write_png(path: Path, rows: NDArray[np.uint8], edge: int) -> Path:
    """Write an RGB PNG: `rows` (n, width, 3) again and again, `edge` in all."""
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    body = b"".join(_deflated(data for _ in range(edge // len(rows))))
    head = struct.pack(">IIBBBBB", rows.shape[1], edge // len(rows) * len(rows), 8, 2, 0, 0, 0)
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, content in ((b"IHDR", head), (b"IDAT", body), (b"IEND", b"")):
            file.write(struct.pack(">I", len(content)) + kind + content)
            file.write(struct.pack(">I", zlib.crc32(content, zlib.crc32(kind))))
    return path


def _deflated(parts: Iterable[bytes]) -> Iterable[bytes]:
    coder = zlib.compressobj(1)
    for part in parts:
        yield coder.compress(part)
    yield coder.flush()


def _write(
    path: Path,
    pieces: Sequence[bytes | Iterable[bytes]],
    places: NDArray[np.int64],
    like: NDArray[Any],
    shape: tuple[int, int],
    compression: int,
    tags: dict[int, int],
) -> Path:
    """Write a BigTIFF of one page; `places` says which of the pieces stands in each place."""
    channels = like.shape[2]
    with path.open("wb") as file:
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0))
        spans = []
        for piece in pieces:
            start = file.tell()
            file.writelines([piece] if isinstance(piece, bytes) else piece)
            spans.append((start, file.tell() - start))
        offsets, counts = np.array(spans, np.uint64)[places].T
        tiled = 322 in tags
        entries: dict[int, tuple[int, Sequence[int]]] = {
            256: (_LONG8, [shape[1]]),
            257: (_LONG8, [shape[0]]),
            258: (_SHORT, [8 * like.dtype.itemsize] * channels),
            259: (_SHORT, [compression]),
            262: (_SHORT, [2 if channels == 3 else 1]),
            277: (_SHORT, [channels]),
            339: (_SHORT, [_FORMATS[like.dtype.kind]] * channels),
            **{tag: (_LONG8, [value]) for tag, value in tags.items()},
            (324 if tiled else 273): (_LONG8, offsets.tolist()),
            (325 if tiled else 279): (_LONG8, counts.tolist()),
        }
        if channels not in (1, 3):
            entries[338] = (_SHORT, [0] * (channels - 1))
        _write_directory(file, entries)
    return path


def _write_directory(file: Any, entries: dict[int, tuple[int, Sequence[int]]]) -> None:
    """Write the tags, those that are longer than eight bytes before them."""
    rows = []
    for tag, (kind, values) in sorted(entries.items()):
        value = np.array(values, "<u2" if kind == _SHORT else "<u8").tobytes()
        if len(value) > 8:
            start = file.tell()
            file.write(value)
            value = struct.pack("<Q", start)
        rows.append(struct.pack("<HHQ8s", tag, kind, len(values), value))
    start = file.tell()
    file.write(struct.pack("<Q", len(rows)) + b"".join(rows) + struct.pack("<Q", 0))
    file.seek(8)
    file.write(struct.pack("<Q", start))
