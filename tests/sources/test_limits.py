"""What a header may promise, and how TIFF's pages are counted before they are read."""

import struct
from io import BytesIO

import numpy as np
import pytest
import tifffile
import zarr
from chunkmeans.config.models import Limits
from chunkmeans.errors import SourceError
from chunkmeans.sources import ReadOptions, open_image
from chunkmeans.sources.formats.tiff.directories import check_directories
from PIL import Image as Pillow

from tests.support.hostile import pages, pyramid, tiff

PICTURE = np.arange(20 * 30, dtype=np.uint8).reshape(20, 30)
GREY = {"photometric": "minisblack"}


def opened(path, **limits):
    return open_image(str(path), ReadOptions(limits=Limits(**limits))).info


def write(path):
    """Write the picture in the format of a name."""
    if path.suffix == ".tif":
        path.write_bytes(tiff(PICTURE, compression="zlib", **GREY))
    elif path.suffix == ".zarr":
        zarr.create_array(path, data=PICTURE, chunks=PICTURE.shape)
    elif path.suffix == ".npy":
        np.save(path, PICTURE)
    else:
        Pillow.fromarray(PICTURE).save(path)
    return path


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.jpg", "a.gif", "a.bmp", "a.zarr", "a.npy"])
def test_pixels_of_an_image_are_limited(tmp_path, name):
    path = write(tmp_path / name)
    assert opened(path, pixels=600).pixels == 600
    with pytest.raises(SourceError, match=rf"{name}.*600, .* images.limits.pixels allows 599"):
        opened(path, pixels=599)


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.jpg", "a.gif", "a.bmp", "a.zarr"])
def test_pixels_that_are_decoded_at_once_are_limited(tmp_path, name):
    path = write(tmp_path / name)
    assert opened(path, piece=600).pixels == 600
    with pytest.raises(SourceError, match=rf"{name}.*600, .* images.limits.piece allows 599"):
        opened(path, piece=599)


def test_rows_that_lie_as_they_are_need_no_limit(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(PICTURE, **GREY))
    assert opened(tmp_path / "a.tif", piece=1).pixels == 600


def test_pages_are_limited(tmp_path):
    (tmp_path / "a.tif").write_bytes(pages(7))
    assert opened(tmp_path / "a.tif", pages=7).pixels > 0
    with pytest.raises(SourceError, match=r"a\.tif.* images.limits.pages allows 6"):
        opened(tmp_path / "a.tif", pages=6)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("back", [0, 3, 5])
def test_a_chain_of_pages_that_leads_back_is_refused(big, order, back):
    file = BytesIO()
    with tifffile.TiffWriter(file, bigtiff=big, byteorder=order) as writer:
        for _ in range(6):
            writer.write(PICTURE, contiguous=False, metadata=None, **GREY)
    content = bytearray(file.getvalue())
    file.seek(0)
    with tifffile.TiffFile(file) as tif:
        first, last = tif.pages[back].offset, tif.pages[5].offset
    number, entry, offset = ("Q", 20, "Q") if big else ("H", 12, "I")
    count = struct.unpack_from(order + number, content, last)[0]
    after = last + struct.calcsize(number) + count * entry
    check_directories(BytesIO(content), Limits())
    struct.pack_into(order + offset, content, after, first)
    with pytest.raises(SourceError, match=f"after 6 pages .* byte {first:,}"):
        check_directories(BytesIO(content), Limits())


def test_any_beginning_of_a_file_is_followed_to_its_end():
    content = pyramid()
    for length in range(16, len(content), 97):
        check_directories(BytesIO(content[:length]), Limits())
