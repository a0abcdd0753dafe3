"""TIFF: broken and hostile files."""

import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from chunkmeans.errors import SourceError
from chunkmeans.image.grid import Box
from chunkmeans.sources.formats.tiff.image import TiffImage

from tests.sources.tiff_files import GREY, RGB, drawn, read, refusal, write_tiled


def _stack(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        for page in drawn((6, 40, 50), "uint16"):
            writer.write(page, contiguous=False, metadata=None, compression="zlib", **GREY)


def _ome(path: Path) -> None:
    tifffile.imwrite(path, drawn((6, 40, 50), "uint16"), ome=True, metadata={"axes": "ZYX"}, **GREY)


def _imagej(path: Path) -> None:
    tifffile.imwrite(path, drawn((6, 40, 50), "uint16"), imagej=True)


@pytest.mark.parametrize("write", [write_tiled, _stack, _ome, _imagej])
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
