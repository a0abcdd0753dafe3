"""TIFF: one rule for what samples mean, however they are stored."""

import numpy as np
import pytest
import tifffile
from chunkmeans.errors import SourceError
from chunkmeans.image.grid import Box
from chunkmeans.sources.base import ReadOptions
from chunkmeans.sources.formats.tiff.image import TiffImage
from PIL import Image as Pillow

from tests.sources.tiff_files import GREY, RGB, drawn, read, refusal


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
