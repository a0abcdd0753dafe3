"""What pictures that are decoded as a whole share, whatever their format."""

import numpy as np
import pytest
from chunkmeans.errors import SourceError
from chunkmeans.sources import ReadOptions, open_image
from PIL import Image as Pillow

FORMATS = ["png", "jpg", "webp", "bmp", "gif"]


@pytest.fixture(params=FORMATS)
def write(request, tmp_path):
    """Write a picture of 6 x 9 pixels and return its path."""

    def write(*channels):
        path = tmp_path / f"picture.{request.param}"
        Pillow.fromarray(np.full((6, 9, *channels), 7, "uint8")).save(path)
        return str(path)

    return write


def test_the_axes_of_the_file_may_be_said(write):
    colour = write(3)
    for axes in (None, "yxc", "yxs", "YXC"):
        info = open_image(colour, ReadOptions(axes=axes)).info
        assert (info.axes, info.shape, info.channels) == ("yx", (6, 9), 3)


@pytest.mark.parametrize("axes", ["yx", "xyc", "zyx", "cyx", "zyxc"])
def test_axes_that_the_file_does_not_have_are_refused_and_its_own_are_told(write, axes):
    with pytest.raises(SourceError) as caught:
        _ = open_image(write(3), ReadOptions(axes=axes)).info
    text = f"images.axes is {axes!r}, but this file has the axes yxc (6 x 9 pixels of 3 channels)"
    assert text in str(caught.value)


@pytest.mark.parametrize("format", [f for f in FORMATS if f != "webp"])  # always of colour
def test_a_grey_picture_has_no_axis_of_channels(tmp_path, format):
    path = tmp_path / f"grey.{format}"
    Pillow.fromarray(np.arange(256, dtype="uint8").reshape(8, 32)).save(path)
    assert open_image(str(path), ReadOptions(axes="yx")).info.channels == 1
    with pytest.raises(SourceError, match=r"has the axes yx \(8 x 32 pixels of 1 channel\)"):
        _ = open_image(str(path), ReadOptions(axes="yxc")).info
