"""TIFF: every way of storing the same pixels, and how much of them is read."""

import struct
from pathlib import Path

import fsspec
import numpy as np
import pytest
import tifffile
from chunkmeans.image.grid import Box
from chunkmeans.sources.base import ReadOptions
from chunkmeans.sources.formats.tiff import image as tiff
from chunkmeans.sources.formats.tiff.image import TiffImage
from chunkmeans.testing import FileSourceTests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from tests.sources.tiff_files import GREY, RGB, drawn, read, write_tiled

# -- the laws of every source ----------------------------------------------------------------


class TestTiledTiff(FileSourceTests):
    def write(self, folder, values):
        path = folder / "tiled.tif"
        tifffile.imwrite(path, values, tile=(16, 16), compression="zlib", predictor=True, **RGB)
        return str(path)


class TestPlanarBigEndianBigTiff(FileSourceTests):
    channels = 5
    dtype = "uint16"

    def write(self, folder, values):
        path = folder / "planar.btf"
        tifffile.imwrite(
            path,
            np.moveaxis(values, -1, 0),
            planarconfig="separate",
            rowsperstrip=5,
            compression="lzw",
            byteorder=">",
            bigtiff=True,
            metadata=None,
            **GREY,
        )
        return str(path)


class TestUncompressedStrips(FileSourceTests):
    dtype = "int16"
    channels = 4

    def write(self, folder, values):
        path = folder / "strips.tif"
        tifffile.imwrite(path, values, planarconfig="contig", rowsperstrip=4, byteorder=">", **GREY)
        return str(path)


class TestVolumeOfPages(FileSourceTests):
    shape = (6, 19, 23)
    channels = 1
    dtype = "float32"

    def write(self, folder, values):
        path = folder / "pages.tif"
        tifffile.imwrite(
            path, values[..., 0], tile=(16, 16), compression="zstd", metadata=None, **GREY
        )
        return str(path)


class TestVolumeInTiles(FileSourceTests):
    shape = (9, 19, 23)
    channels = 1
    dtype = "uint16"

    def write(self, folder, values):
        path = folder / "volume.tif"
        tifffile.imwrite(
            path, values[..., 0], volumetric=True, tile=(4, 16, 16), compression="zlib", **GREY
        )
        return str(path)


class TestOmeTiff(FileSourceTests):
    shape = (2, 3, 17, 21)
    channels = 4
    dtype = "uint16"

    def write(self, folder, values):
        path = folder / "set.ome.tif"
        stored = np.moveaxis(values, -1, 2)
        metadata = {"axes": "TZCYX"}
        tifffile.imwrite(path, stored, tile=(16, 16), compression="zlib", metadata=metadata, **GREY)
        return str(path)


class TestImageJHyperstack(FileSourceTests):
    shape = (2, 3, 17, 21)
    channels = 2
    dtype = "uint16"

    def write(self, folder, values):
        path = folder / "hyperstack.tif"
        stored = np.moveaxis(values, -1, 2)
        tifffile.imwrite(path, stored, imagej=True, metadata={"axes": "TZCYX"})
        return str(path)


# -- the oracle: what was written is what is read --------------------------------------------

INTEGERS = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]
FLOATS = ["float16", "float32", "float64"]

ENCODINGS: list[tuple[str, tuple[int, ...], dict]] = [
    *[(d, (37, 45, 3), {"tile": (16, 32), **RGB}) for d in [*INTEGERS, *FLOATS]],
    *[(d, (37, 45), {"rowsperstrip": 7, "byteorder": ">", **GREY}) for d in [*INTEGERS, *FLOATS]],
    *[
        (d, (37, 45, 3), {"tile": (16, 16), "compression": c, "predictor": p, **RGB})
        for d, p in [("uint8", 2), ("uint16", 2), ("float32", 3), ("float16", 3), ("int32", 2)]
        for c in ["lzw", "zlib", "zstd", "lzma"]
    ],
    ("uint8", (37, 45, 3), {"compression": "packbits", "rowsperstrip": 6, **RGB}),
    ("uint8", (37, 45, 3), {"compression": "packbits", "tile": (16, 16), **RGB}),
    ("uint16", (37, 45, 3), {"compression": "jpeg2000", "tile": (16, 16), **RGB}),
    ("uint8", (37, 45, 3), {"compression": "webp", "compressionargs": {"level": 101}, **RGB}),
    ("uint8", (37, 45), {"compression": "png", "rowsperstrip": 9, **GREY}),
    ("bool", (37, 45), {"rowsperstrip": 8, **GREY}),
    ("bool", (37, 45), {"tile": (16, 16), "compression": "zlib", **GREY}),
    ("bool", (37, 45), {"compression": "ccittfax4", "rowsperstrip": 11, **GREY}),
    ("uint8", (3, 37, 45), {"planarconfig": "separate", "tile": (16, 16), **RGB}),
    ("uint8", (3, 37, 45), {"planarconfig": "separate", "compression": "zlib", **RGB}),
    ("float64", (4, 37, 45), {"planarconfig": "separate", "rowsperstrip": 5, **GREY}),
    ("uint16", (1, 45), {**GREY}),
    ("uint16", (37, 1), {**GREY}),
    ("uint8", (1, 1, 3), {**RGB}),
    ("uint16", (37, 45), {"bigtiff": True, "byteorder": ">", "tile": (16, 16), **GREY}),
]


def named(encoding: tuple[str, tuple[int, ...], dict]) -> str:
    dtype, shape, how = encoding
    return "-".join([dtype, "x".join(map(str, shape)), *(f"{v}" for v in how.values())])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("encodings")


@pytest.mark.parametrize("encoding", ENCODINGS, ids=named)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_box_and_channels_equal_those_of_the_array_that_was_written(folder, encoding, data):
    dtype, shape, how = encoding
    values = drawn(shape, dtype)
    path = folder / f"{abs(hash(named(encoding)))}.tif"
    if not path.exists():
        if how.get("compression") == "ccittfax4":
            _write_fax(path, values, how["rowsperstrip"])
        else:
            tifffile.imwrite(path, values, metadata=None, **how)
    expected = values.astype("uint8") if dtype == "bool" else values
    if how.get("planarconfig") == "separate":
        expected = np.moveaxis(expected, 0, -1)
    elif values.ndim == 2:
        expected = expected[..., None]

    ends = [sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2))) for n in expected.shape[:2]]
    box = Box(tuple(a for a, _ in ends), tuple(b for _, b in ends))
    count = expected.shape[-1]
    channels = data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=count))
    image = TiffImage(str(path), ReadOptions(channels=tuple(channels)))
    pixels = image.read(box)
    assert pixels.valid is None
    np.testing.assert_array_equal(pixels.values, expected[box.slices][..., channels])


def _write_fax(path: Path, values: np.ndarray, rows: int) -> None:
    """Write a bilevel CCITT fax group 4 file by pillow, which asks libtiff."""
    Pillow.fromarray(values).save(path, compression="group4", tiffinfo={278: rows})


@pytest.mark.parametrize("bits", [2, 4, 6, 10, 12, 14, 24])
def test_packed_integers_are_unpacked_and_not_scaled(tmp_path, bits):
    path = tmp_path / "packed.tif"
    dtype = "uint8" if bits <= 8 else "uint16" if bits <= 16 else "uint32"
    values = np.random.default_rng(0).integers(0, 2**bits, (11, 17, 3)).astype(dtype)
    _write_packed(path, values, bits)
    box = Box((3, 2), (9, 15))
    np.testing.assert_array_equal(TiffImage(str(path)).read(box).values, values[box.slices])


def _write_packed(path: Path, values: np.ndarray, bits: int) -> None:
    """Write an uncompressed TIFF of packed samples by hand, one strip, little endian."""
    height, width, samples = values.shape
    rows = []
    for row in values.reshape(height, -1):
        text = "".join(f"{v:0{bits}b}" for v in row)
        text += "0" * (-len(text) % 8)
        rows.append(bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8)))
    if bits == 24:  # whole bytes follow the byte order of the file
        rows = [row.astype("<u4").tobytes() for row in values.reshape(height, -1)]
        rows = [b"".join(r[i : i + 3] for i in range(0, len(r), 4)) for r in rows]
    data = b"".join(rows)
    bits_at = 8 + len(data) + len(data) % 2
    tags = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, samples, bits_at),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 8),
        (277, 3, 1, samples),
        (278, 3, 1, height),
        (279, 4, 1, len(data)),
    ]
    ifd = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    table = struct.pack(f"<{samples}H", *[bits] * samples)
    head = b"II*\0" + struct.pack("<I", bits_at + len(table))
    path.write_bytes(head + data + b"\0" * (len(data) % 2) + table + ifd + struct.pack("<I", 0))


# -- how much is read ------------------------------------------------------------------------


def test_urls_are_read_by_ranges(tmp_path):
    path = tmp_path / "tiled.tif"
    write_tiled(path)
    expected = read(path)
    url = f"memory://{path.name}"
    fsspec.filesystem("memory").pipe(path.name, path.read_bytes())
    image = TiffImage(url)
    box = Box((10, 20), (60, 90))
    np.testing.assert_array_equal(image.read(box).values, expected[box.slices])
    assert image.fingerprint() == image.fingerprint()


def test_a_header_is_parsed_once_and_again_when_the_file_changes(tmp_path, monkeypatch):
    parsed = []
    original = tiff.read_tiff_header
    monkeypatch.setattr(tiff, "read_tiff_header", lambda *a: parsed.append(a) or original(*a))
    path = tmp_path / "once.tif"
    write_tiled(path)
    for _ in range(3):
        read(path)
    assert len(parsed) == 1
    tifffile.imwrite(path, drawn((9, 13), "uint8"), **GREY)
    assert read(path).shape == (9, 13, 1)
    assert len(parsed) == 2
