"""TIFF: every way of storing the same pixels, and what may not pass in silence."""

import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import fsspec
import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from pipeline.errors import SourceError
from pipeline.grid import Box
from pipeline.sources import tiff
from pipeline.sources.base import ReadOptions
from pipeline.sources.tiff import TiffImage
from tests.sources.conformance import FileSourceTests

RGB = {"photometric": "rgb"}
GREY = {"photometric": "minisblack"}


def drawn(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    """Numbers that compress a little and fill the type's range, but for NaN."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return (rng.integers(-50, 50, shape) / 8).astype(kind)
    if kind.kind == "b":
        return rng.integers(0, 2, shape).astype(kind)
    limits = np.iinfo(kind)
    some = rng.integers(limits.min, limits.max, 7, dtype=kind, endpoint=True)
    return some[rng.integers(0, 7, shape)]


def read(path: object, **options: object) -> np.ndarray:
    """All pixels of an image."""
    image = TiffImage(str(path), ReadOptions(**options))
    return image.read(Box.whole(image.info.shape)).values


def refusal(path: object, **options: object) -> str:
    """The message of the error that reading the image ends in."""
    with pytest.raises(SourceError) as caught:
        read(path, **options)
    assert str(path) in str(caught.value)
    return str(caught.value)


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


# -- one rule for what samples mean ----------------------------------------------------------


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def test_the_same_picture_in_many_encodings_has_the_same_pixels(tmp_path, picture):
    planar = np.moveaxis(picture, -1, 0)
    ways: dict[str, tuple[np.ndarray, dict]] = {
        "plain": (picture, RGB),
        "big-endian": (picture, {"byteorder": ">", **RGB}),
        "tiled": (picture, {"tile": (16, 16), "compression": "lzw", **RGB}),
        "planar": (planar, {"planarconfig": "separate", **RGB}),
        "zstd": (picture, {"compression": "zstd", "predictor": True, **RGB}),
        "jpeg 2000": (picture, {"compression": "jpeg2000", **RGB}),
        "with opaque alpha": (
            np.dstack([picture, np.full((20, 30), 255, np.uint8)]),
            {"extrasamples": ["unassalpha"], **RGB},
        ),
    }
    for name, (stored, how) in ways.items():
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, stored, **how)
        np.testing.assert_array_equal(read(path), picture, err_msg=name)


def test_a_palette_of_8_bits_reads_as_its_rgb_picture(tmp_path):
    colours = np.random.default_rng(2).integers(0, 256, (256, 3), dtype=np.uint8)
    index = np.random.default_rng(3).integers(0, 256, (20, 30), dtype=np.uint8)
    for factor in (257, 256):
        path = tmp_path / f"palette{factor}.tif"
        colormap = (colours.T.astype(np.uint16) * factor).astype(np.uint16)
        tifffile.imwrite(path, index, photometric="palette", colormap=colormap, tile=(16, 16))
        assert read(path).dtype == np.uint8
        np.testing.assert_array_equal(read(path), colours[index])
        np.testing.assert_array_equal(read(path, channels=(2, 0)), colours[index][..., [2, 0]])


def test_a_palette_of_16_bits_keeps_them(tmp_path):
    path = tmp_path / "palette.tif"
    colormap = np.random.default_rng(2).integers(0, 2**16, (3, 256), dtype=np.uint16)
    index = np.random.default_rng(3).integers(0, 256, (20, 30), dtype=np.uint8)
    tifffile.imwrite(path, index, photometric="palette", colormap=colormap)
    assert TiffImage(str(path)).info.dtype == np.uint16
    np.testing.assert_array_equal(read(path), colormap.T[index])


def test_alpha_masks_where_it_is_0_and_is_no_channel(tmp_path, picture):
    alpha = np.random.default_rng(4).integers(0, 3, (20, 30), dtype=np.uint8)
    for kind in ("assocalpha", "unassalpha"):
        path = tmp_path / f"{kind}.tif"
        tifffile.imwrite(path, np.dstack([picture, alpha]), extrasamples=[kind], **RGB)
        image = TiffImage(str(path), ReadOptions(channels=(1,)))
        assert image.info.alpha
        assert image.stored.channels == 3
        pixels = image.read(Box((2, 3), (19, 30)))
        np.testing.assert_array_equal(pixels.values, picture[2:19, 3:30, 1:2])
        np.testing.assert_array_equal(pixels.valid, alpha[2:19, 3:30] != 0)


def test_alpha_of_a_planar_file_masks_too(tmp_path, picture):
    alpha = np.random.default_rng(4).integers(0, 2, (20, 30), dtype=np.uint8)
    path = tmp_path / "planar.tif"
    stored = np.concatenate([np.moveaxis(picture, -1, 0), alpha[None]])
    tifffile.imwrite(path, stored, planarconfig="separate", extrasamples=["unassalpha"], **RGB)
    pixels = TiffImage(str(path)).read(Box.whole((20, 30)))
    np.testing.assert_array_equal(pixels.values, picture)
    np.testing.assert_array_equal(pixels.valid, alpha != 0)


def test_other_extra_samples_are_channels(tmp_path, picture):
    path = tmp_path / "extra.tif"
    stored = np.dstack([picture, picture[..., 0], picture[..., 1]])
    tifffile.imwrite(path, stored, extrasamples=["unspecified", "unassalpha"], **RGB)
    image = TiffImage(str(path))
    assert image.info.channels == 4
    np.testing.assert_array_equal(read(path), stored[..., :4])


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "int16"])
def test_white_is_zero_is_turned_to_natural_once(tmp_path, dtype):
    path = tmp_path / "white.tif"
    stored = drawn((9, 13), dtype)
    tifffile.imwrite(path, stored, photometric="miniswhite")
    values = stored.astype("uint8") if dtype == "bool" else stored
    top = {"bool": 1, "uint8": 255, "uint16": 65535, "int16": -1}[dtype]
    np.testing.assert_array_equal(
        read(path)[..., 0], (top - values.astype(int)).astype(values.dtype)
    )


def test_white_is_zero_reads_as_pillow_shows_it(tmp_path):
    path = tmp_path / "white.tif"
    tifffile.imwrite(path, drawn((9, 13), "uint8"), photometric="miniswhite")
    np.testing.assert_array_equal(read(path)[..., 0], np.asarray(Pillow.open(path)))


def test_nodata_of_white_is_zero_is_turned_with_the_pixels(tmp_path):
    path = tmp_path / "white.tif"
    tags = [(42113, "s", 0, "0", True)]
    tifffile.imwrite(path, drawn((9, 13), "uint8"), photometric="miniswhite", extratags=tags)
    assert TiffImage(str(path)).info.nodata == (255,)


@pytest.mark.parametrize("tag", range(1, 9))
def test_the_orientation_tag_is_applied_as_pillow_does(tmp_path, tag):
    path = tmp_path / "turned.tif"
    stored = drawn((21, 34), "uint8")
    tifffile.imwrite(path, stored, tile=(16, 16), extratags=[(274, "H", 1, tag, True)], **GREY)
    with Pillow.open(path) as opened:
        opened.load()  # pillow turns a TIFF while loading
        upright = np.asarray(opened)
    image = TiffImage(str(path))
    assert image.info.shape == upright.shape
    np.testing.assert_array_equal(read(path)[..., 0], upright)
    box = Box((3, 5), (20, 19))
    np.testing.assert_array_equal(image.read(box).values[..., 0], upright[box.slices])


def test_cmyk_becomes_rgb_as_pillow_does(tmp_path):
    path = tmp_path / "inks.tif"
    inks = np.random.default_rng(5).integers(0, 256, (40, 50, 4), dtype=np.uint8)
    tifffile.imwrite(path, inks, photometric="separated", compression="zlib")
    expected = np.asarray(Pillow.fromarray(inks, "CMYK").convert("RGB"))
    np.testing.assert_array_equal(read(path), expected)


def test_ycbcr_jpeg_becomes_rgb(tmp_path):
    path = tmp_path / "photo.tif"
    smooth = np.add.outer(np.arange(64), np.arange(96)).astype(np.uint8)
    picture = np.dstack([smooth, 255 - smooth, smooth // 2])
    how = {"compression": "jpeg", "compressionargs": {"level": 98}, "tile": (32, 32)}
    tifffile.imwrite(path, picture, **how, **RGB)
    with tifffile.TiffFile(path) as tif:
        assert tif.pages[0].photometric == tifffile.PHOTOMETRIC.YCBCR
    np.testing.assert_allclose(read(path).astype(int), picture, atol=8)
    np.testing.assert_array_equal(read(path), tifffile.imread(path))


def test_lossless_jpeg_of_grey_is_read(tmp_path):
    path = tmp_path / "grey.tif"
    values = drawn((32, 48), "uint16")
    how = {"compression": "jpeg", "compressionargs": {"lossless": True, "bitspersample": 16}}
    tifffile.imwrite(path, values, tile=(16, 16), **how, **GREY)
    np.testing.assert_array_equal(read(path)[..., 0], values)


@pytest.mark.parametrize(
    ("photometric", "name"), [(32803, "CFA"), (8, r"CIE L\*a\*b\*"), (32845, "Log2"), (999, "999")]
)
def test_what_cannot_be_segmented_is_refused_by_name(tmp_path, photometric, name):
    path = tmp_path / "odd.tif"
    tifffile.imwrite(path, drawn((9, 13), "uint16"), **GREY)
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages[0].tags[262].overwrite(photometric)
    with pytest.raises(SourceError, match=name):
        read(path)


def test_complex_pixels_are_refused_by_name(tmp_path):
    path = tmp_path / "complex.tif"
    tifffile.imwrite(path, np.ones((9, 13), np.complex64), **GREY)
    assert "complex64" in refusal(path)


# -- axes, series, levels --------------------------------------------------------------------


def test_pages_of_equal_shape_are_a_volume(tmp_path):
    path = tmp_path / "stack.tif"
    values = drawn((5, 9, 13), "uint8")
    with tifffile.TiffWriter(path) as writer:
        for page in values:
            writer.write(page, contiguous=False, metadata=None, **GREY)
    assert TiffImage(str(path)).info.axes == "zyx"
    np.testing.assert_array_equal(read(path)[..., 0], values)


@pytest.mark.parametrize(
    ("odd", "name"),
    [
        ({"predictor": True}, "Predictor is 2, not 1"),
        ({"photometric": "miniswhite"}, "PhotometricInterpretation is 0, not 1"),
        ({"dtype": "int16"}, "SampleFormat is 2, not 1"),
        ({"compression": "lzw"}, "Compression is 5, not 8"),
    ],
)
def test_a_page_that_is_stored_otherwise_than_the_first_is_refused(tmp_path, odd, name):
    path = tmp_path / "stack.tif"
    values = drawn((9, 16, 16), "uint16")  # tifffile itself compares the first, eighth and last
    with tifffile.TiffWriter(path) as writer:
        for i, page in enumerate(values):
            how = {"compression": "zlib", "contiguous": False, "metadata": None, **GREY}
            how |= odd if i == 3 else {}
            writer.write(page.astype(how.pop("dtype", "uint16")), **how)
    message = refusal(path)
    assert "page 3" in message
    assert name in message


def test_axes_overrule_what_the_file_says(tmp_path):
    path = tmp_path / "bands.tif"
    values = drawn((9, 13, 6), "uint16")
    tifffile.imwrite(path, values, metadata=None, **GREY)  # nine pages of 13 x 6
    np.testing.assert_array_equal(read(path, axes="yxc"), values)
    np.testing.assert_array_equal(read(path, axes="yxc", channels=(5, 1)), values[..., [5, 1]])
    image = TiffImage(str(path), ReadOptions(axes="yxs"))
    box = Box((2, 3), (7, 11))
    np.testing.assert_array_equal(image.read(box).values, values[2:7, 3:11])
    assert TiffImage(str(path)).info.axes == "zyx"


def test_samples_can_be_another_axis(tmp_path):
    path = tmp_path / "planes.tif"
    values = drawn((5, 9, 13), "uint16")
    tifffile.imwrite(path, values, planarconfig="separate", metadata=None, **GREY)
    np.testing.assert_array_equal(read(path, axes="zyx")[..., 0], values)
    np.testing.assert_array_equal(read(path), np.moveaxis(values, 0, -1))
    image = TiffImage(str(path), ReadOptions(axes="tyx"))
    assert image.info.axes == "tyx"
    np.testing.assert_array_equal(
        image.read(Box((1, 2, 3), (4, 5, 6))).values[..., 0], values[1:4, 2:5, 3:6]
    )


@pytest.mark.parametrize("axes", ["yx", "zzyx", "zyq", "zcx"])
def test_axes_that_do_not_fit_are_an_error_that_shows_the_shape(tmp_path, axes):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, drawn((5, 9, 13), "uint8"), metadata=None, **GREY)
    message = refusal(path, axes=axes)
    assert repr(axes) in message
    assert "(5, 9, 13)" in message


def test_axes_that_are_not_clear_are_refused_with_what_to_do(tmp_path):
    path = tmp_path / "unclear.tif"
    tifffile.imwrite(path, drawn((3, 4, 9, 13), "uint8"), **GREY)
    assert "set `axes:`" in refusal(path)
    np.testing.assert_array_equal(read(path, axes="tzyx").shape, (3, 4, 9, 13, 1))


def test_channels_that_are_pages_and_samples_are_flattened(tmp_path):
    path = tmp_path / "both.ome.tif"
    values = drawn((2, 9, 13, 3), "uint8")
    tifffile.imwrite(path, values, metadata={"axes": "CYXS"}, **RGB)
    expected = np.moveaxis(values, 0, -2).reshape(9, 13, 6)
    np.testing.assert_array_equal(read(path), expected)
    np.testing.assert_array_equal(read(path, channels=(4, 0)), expected[..., [4, 0]])


def test_series_of_a_file_are_chosen_by_number(tmp_path):
    path = tmp_path / "two.tif"
    first, second = drawn((9, 13), "uint8"), drawn((5, 6, 3), "uint16", 1)
    with tifffile.TiffWriter(path) as writer:
        writer.write(first, **GREY)
        writer.write(second, **RGB)
    np.testing.assert_array_equal(read(path)[..., 0], first)
    np.testing.assert_array_equal(read(path, series=1), second)
    assert "series 2 is asked, the file has 2 images" in refusal(path, series=2)


@pytest.mark.parametrize("way", ["subifds", "pages", "ome"])
def test_levels_of_a_pyramid_are_chosen_by_number(tmp_path, way):
    path = tmp_path / ("pyramid.ome.tif" if way == "ome" else "pyramid.tif")
    base = drawn((64, 96, 3), "uint8")
    how = {"tile": (16, 16), "compression": "zlib", **RGB}
    how |= {} if way == "ome" else {"metadata": None}
    with tifffile.TiffWriter(path) as writer:
        writer.write(base, **how, **({} if way == "pages" else {"subifds": 2}))
        for step in (2, 4):
            writer.write(base[::step, ::step], subfiletype=1, **how)
    for level, step in enumerate((1, 2, 4)):
        np.testing.assert_array_equal(read(path, level=level), base[::step, ::step])
    assert "level 3 is asked, the file has 3 levels" in refusal(path, level=3)


def test_a_multi_file_ome_set_is_one_image_and_a_lost_file_an_error(tmp_path):
    values = drawn((3, 9, 13), "uint16")
    names = [f"z{i}.ome.tif" for i in range(3)]
    planes = "".join(
        f'<TiffData FirstZ="{i}" IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{i}</UUID>'
        "</TiffData>"
        for i, name in enumerate(names)
    )
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:0">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" '
        'SizeX="13" SizeY="9" SizeZ="3" SizeC="1" SizeT="1" PhysicalSizeX="0.5" '
        f'PhysicalSizeY="0.25" PhysicalSizeZ="2">{planes}</Pixels></Image></OME>'
    )
    for i, name in enumerate(names):
        text = xml if i == 0 else "another"
        order = ">" if i == 1 else "<"
        tifffile.imwrite(
            tmp_path / name, values[i], description=text, byteorder=order, metadata=None, **GREY
        )
    image = TiffImage(str(tmp_path / names[0]))
    assert image.info.axes == "zyx"
    assert image.info.pixel_size == (2.0, 0.25, 0.5)
    np.testing.assert_array_equal(read(image.path)[..., 0], values)
    before = image.fingerprint()
    tifffile.imwrite(tmp_path / names[2], values[2] + 1, metadata=None, **GREY)
    assert image.fingerprint() != before
    (tmp_path / names[1]).unlink()
    assert "z1.ome.tif" in refusal(image.path)


# -- missing data, masks, scale, place -------------------------------------------------------


def test_nodata_is_there_only_with_its_tag(tmp_path):
    values = drawn((9, 13), "int16")
    plain, tagged = tmp_path / "plain.tif", tmp_path / "tagged.tif"
    tifffile.imwrite(plain, values, **GREY)
    tifffile.imwrite(tagged, values, extratags=[(42113, "s", 0, "-9999", True)], **GREY)
    assert TiffImage(str(plain)).info.nodata == ()
    assert TiffImage(str(tagged)).info.nodata == (-9999,)


def test_nodata_of_a_palette_masks_the_colour(tmp_path):
    path = tmp_path / "palette.tif"
    index = drawn((9, 13), "uint8")
    missing = int(index[0, 0])
    colormap = np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1))
    tags = [(42113, "s", 0, str(missing), True)]
    tifffile.imwrite(path, index, photometric="palette", colormap=colormap, extratags=tags)
    image = TiffImage(str(path))
    assert image.info.nodata == ()
    assert image.info.alpha
    np.testing.assert_array_equal(image.read(Box.whole((9, 13))).valid, index != missing)


def test_an_inner_mask_page_masks(tmp_path, picture):
    path = tmp_path / "masked.tif"
    mask = drawn((20, 30), "bool")
    with tifffile.TiffWriter(path) as writer:
        writer.write(picture, metadata=None, tile=(16, 16), **RGB)
        writer.write(mask, metadata=None, photometric="mask", subfiletype=4, compression="zlib")
    image = TiffImage(str(path))
    pixels = image.read(Box((1, 2), (18, 29)))
    np.testing.assert_array_equal(pixels.values, picture[1:18, 2:29])
    np.testing.assert_array_equal(pixels.valid, mask[1:18, 2:29])
    assert "1 images" in refusal(path, series=1)


def test_an_inner_mask_of_another_shape_is_a_warning(tmp_path, picture):
    path = tmp_path / "masked.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(picture, metadata=None, **RGB)
        writer.write(drawn((7, 7), "bool"), metadata=None, photometric="mask", subfiletype=4)
    image = TiffImage(str(path))
    assert not image.info.alpha
    assert "(7, 7)" in image.info.warnings[0]


def test_pixel_sizes_of_resolution_and_imagej_are_carried(tmp_path):
    inch, fiji = tmp_path / "inch.tif", tmp_path / "fiji.tif"
    values = drawn((4, 9, 13), "uint8")
    tifffile.imwrite(inch, values[0], resolution=(254, 508), resolutionunit="inch", **GREY)
    info = TiffImage(str(inch)).info
    assert info.pixel_size == (50.0, 100.0)
    assert info.units == ("micrometer", "micrometer")
    metadata = {"axes": "ZYX", "spacing": 3.0, "unit": "um"}
    tifffile.imwrite(fiji, values, imagej=True, resolution=(2, 4), metadata=metadata)
    info = TiffImage(str(fiji)).info
    assert info.pixel_size == (3.0, 0.25, 0.5)
    assert info.units == ("micrometer",) * 3


def test_ome_names_and_sizes_are_carried(tmp_path):
    path = tmp_path / "named.ome.tif"
    metadata = {
        "axes": "CYX",
        "Channel": {"Name": ["DAPI", "GFP"]},
        "PhysicalSizeX": 0.5,
        "PhysicalSizeY": 0.25,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeYUnit": "nm",
    }
    values = drawn((2, 9, 13), "uint8")
    tifffile.imwrite(path, values, metadata=metadata, **GREY)
    info = TiffImage(str(path)).info
    assert info.channel_names == ("DAPI", "GFP")
    assert info.pixel_size == (0.25, 0.5)
    assert info.units == ("nanometer", "nanometer")
    np.testing.assert_array_equal(read(path, channels=("GFP",))[..., 0], values[1])


def test_georeferencing_is_carried_as_json_values(tmp_path):
    path = tmp_path / "scene.tif"
    tags = [
        (33550, "d", 3, (30.0, 20.0, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, 5e5, 4e6, 0.0), True),
        (34735, "H", 8, (1, 1, 0, 1, 3076, 0, 1, 9001), True),
    ]
    tifffile.imwrite(path, drawn((9, 13), "uint8"), extratags=tags, **GREY)
    info = TiffImage(str(path)).info
    assert info.tags["ModelPixelScaleTag"] == [30.0, 20.0, 0.0]
    assert info.tags["ModelTiepointTag"] == [0.0, 0.0, 0.0, 5e5, 4e6, 0.0]
    assert info.tags["GeoKeyDirectoryTag"] == [1, 1, 0, 1, 3076, 0, 1, 9001]
    assert info.pixel_size == (20.0, 30.0)
    assert info.units == ("meter", "meter")


# -- broken and hostile files ----------------------------------------------------------------


def _tiled(path: Path) -> None:
    tifffile.imwrite(path, drawn((70, 90, 3), "uint8"), tile=(32, 32), compression="lzw", **RGB)


def _stack(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        for page in drawn((6, 40, 50), "uint16"):
            writer.write(page, contiguous=False, metadata=None, compression="zlib", **GREY)


def _ome(path: Path) -> None:
    tifffile.imwrite(path, drawn((6, 40, 50), "uint16"), ome=True, metadata={"axes": "ZYX"}, **GREY)


def _imagej(path: Path) -> None:
    tifffile.imwrite(path, drawn((6, 40, 50), "uint16"), imagej=True)


@pytest.mark.parametrize("write", [_tiled, _stack, _ome, _imagej])
def test_a_file_cut_at_any_length_is_an_error_that_names_it_or_reads_the_same(
    tmp_path: Path, write: Callable[[Path], None]
):
    whole, cut = tmp_path / "whole.tif", tmp_path / "cut.tif"
    write(whole)
    content, expected = whole.read_bytes(), read(whole)
    for length in np.linspace(0, len(content) - 1, 60).astype(int):
        cut.write_bytes(content[:length])
        values, reason = None, ""
        try:
            values = read(cut)
        except SourceError as error:
            reason = str(error)
        if values is None:
            assert "cut.tif" in reason
        else:
            np.testing.assert_array_equal(values, expected)


def test_a_short_raw_file_is_an_error_with_both_numbers(tmp_path):
    path = tmp_path / "short.tif"
    tifffile.imwrite(path, drawn((50, 60), "uint8"), metadata=None, **GREY)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size - 100])
    message = refusal(path)
    assert f"{size:,}" in message
    assert f"{size - 100:,}" in message


def test_a_file_that_shrinks_after_its_header_was_read_is_an_error(tmp_path):
    path = tmp_path / "shrinks.tif"
    tifffile.imwrite(path, drawn((50, 60), "uint8"), metadata=None, **GREY)
    image = TiffImage(str(path))
    assert image.info.shape == (50, 60)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SourceError, match=r"shrinks\.tif"):
        image.read(Box.whole((50, 60)))


def test_a_file_that_changes_its_shape_after_its_header_was_read_is_an_error(tmp_path):
    path = tmp_path / "changes.tif"
    tifffile.imwrite(path, drawn((50, 60), "uint8"), **GREY)
    image = TiffImage(str(path))
    assert image.info.shape == (50, 60)
    tifffile.imwrite(path, drawn((70, 80), "uint8"), **GREY)
    with pytest.raises(SourceError, match=r"changed while .* \(50, 60\) .* \(70, 80\)"):
        image.read(Box((0, 0), (9, 9)))


def test_a_file_of_another_kind_is_an_error_that_says_what_it_begins_with(tmp_path):
    path = tmp_path / "photo.tif"
    path.write_bytes(imagecodecs.jpeg_encode(drawn((9, 13, 3), "uint8")))
    assert "a JPEG" in refusal(path)
    path.write_bytes(b"hello, world")
    assert "hello, world" in refusal(path)
    path.write_bytes(b"")
    assert "empty (0 bytes)" in refusal(path)


def test_a_damaged_tile_is_an_error_that_says_which(tmp_path):
    path = tmp_path / "damaged.tif"
    tifffile.imwrite(path, drawn((64, 64), "uint16"), tile=(32, 32), compression="zlib", **GREY)
    with tifffile.TiffFile(path) as tif:
        start = tif.pages[0].dataoffsets[2]
    content = bytearray(path.read_bytes())
    content[start : start + 40] = b"\xff" * 40
    path.write_bytes(content)
    image = TiffImage(str(path))
    image.read(Box((0, 0), (32, 64)))
    with pytest.raises(SourceError, match="tile 2 of page 0 cannot be decoded"):
        image.read(Box((32, 0), (64, 32)))


def test_a_jpeg_tile_whose_end_was_lost_is_an_error_and_not_grey(tmp_path):
    path = tmp_path / "lost.tif"
    tifffile.imwrite(path, drawn((64, 64, 3), "uint8"), tile=(32, 32), compression="jpeg", **RGB)
    with tifffile.TiffFile(path) as tif:
        start, length = tif.pages[0].dataoffsets[3], tif.pages[0].databytecounts[3]
    content = bytearray(path.read_bytes())
    content[start + length // 2 : start + length] = bytes(length - length // 2)
    path.write_bytes(content)
    TiffImage(str(path)).read(Box((0, 0), (32, 64)))
    assert "tile 3 of page 0 has no end-of-image mark" in refusal(path)


@pytest.mark.parametrize("compression", [None, "zlib", "zstd"])
def test_a_header_that_asks_for_terabytes_is_refused_before_anything_is_allocated(
    tmp_path, compression
):
    path = tmp_path / "bomb.tif"
    tifffile.imwrite(path, drawn((16, 16), "uint8"), compression=compression, metadata=None, **GREY)
    with tifffile.TiffFile(path, mode="r+") as tif:
        for code in (256, 257, 278):
            tif.pages[0].tags[code].overwrite(1_900_000)
    with pytest.raises(SourceError, match=r"3,610,000,000,000"):
        read(path)


def test_tiles_that_were_never_written_are_nodata_or_zero(tmp_path):
    values = drawn((64, 64), "uint8")
    for text, fill in (("7", 7), (None, 0)):
        path = tmp_path / f"sparse{fill}.tif"
        tags = [(42113, "s", 0, text, True)] if text else []
        tifffile.imwrite(path, values, tile=(32, 32), metadata=None, extratags=tags, **GREY)
        with tifffile.TiffFile(path, mode="r+") as tif:
            offsets = list(tif.pages[0].dataoffsets)
            counts = list(tif.pages[0].databytecounts)
            offsets[1] = counts[1] = 0
            tif.pages[0].tags[324].overwrite(offsets)
            tif.pages[0].tags[325].overwrite(counts)
        expected = values.copy()
        expected[:32, 32:] = fill
        np.testing.assert_array_equal(read(path)[..., 0], expected)
        assert TiffImage(str(path)).info.warnings == ()


def test_tifffile_says_nothing_on_its_own_while_a_broken_file_is_read(tmp_path, caplog, capsys):
    path = tmp_path / "broken.tif"
    path.write_bytes(b"II*\0" + struct.pack("<I", 10_000) + b"\0" * 8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "10000" in refusal(path)
    assert capsys.readouterr().err == ""


# -- how much is read ------------------------------------------------------------------------


def test_urls_are_read_by_ranges(tmp_path):
    path = tmp_path / "tiled.tif"
    _tiled(path)
    expected = read(path)
    url = f"memory://{path.name}"
    fsspec.filesystem("memory").pipe(path.name, path.read_bytes())
    image = TiffImage(url)
    box = Box((10, 20), (60, 90))
    np.testing.assert_array_equal(image.read(box).values, expected[box.slices])
    assert image.fingerprint() == image.fingerprint()


def test_a_header_is_parsed_once_and_again_when_the_file_changes(tmp_path, monkeypatch):
    parsed = []
    original = tiff.parse
    monkeypatch.setattr(tiff, "parse", lambda *a: parsed.append(a) or original(*a))
    path = tmp_path / "once.tif"
    _tiled(path)
    for _ in range(3):
        read(path)
    assert len(parsed) == 1
    tifffile.imwrite(path, drawn((9, 13), "uint8"), **GREY)
    assert read(path).shape == (9, 13, 1)
    assert len(parsed) == 2
