"""Orientation: boxes of the upright picture against Pillow and against turning the whole."""

import numpy as np
import pytest
from chunkmeans.image.grid import Box
from chunkmeans.sources.decode.orientation import UPRIGHT, Orientation
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

TAGS = range(1, 9)


def stored_picture(height: int = 3, width: int = 5) -> np.ndarray:
    return np.arange(height * width, dtype=np.uint8).reshape(height, width)


@pytest.mark.parametrize("tag", TAGS)
def test_turning_is_what_pillow_does_for_the_same_tag(tag):
    stored = stored_picture()
    image = Image.fromarray(stored)
    image.getexif()[274] = tag
    expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(Orientation.from_tag(tag).make_upright(stored, 0, 1), expected)


@settings(deadline=None)
@given(
    tag=st.sampled_from(TAGS),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    data=st.data(),
)
def test_a_turned_stored_box_is_the_box_of_the_turned_whole(tag, height, width, data):
    orientation = Orientation.from_tag(tag)
    stored = stored_picture(height, width)
    upright = orientation.make_upright(stored, 0, 1)
    rows, columns = upright.shape
    y0 = data.draw(st.integers(0, rows))
    y1 = data.draw(st.integers(y0, rows))
    x0 = data.draw(st.integers(0, columns))
    x1 = data.draw(st.integers(x0, columns))
    box = Box((y0, x0), (y1, x1))
    part = stored[orientation.stored_box(box, upright.shape).slices]
    np.testing.assert_array_equal(orientation.make_upright(part, 0, 1), upright[box.slices])


@pytest.mark.parametrize("tag", TAGS)
def test_axes_other_than_rows_and_columns_stay_where_they_are(tag):
    orientation = Orientation.from_tag(tag)
    stored = np.arange(2 * 3 * 5 * 4).reshape(2, 3, 5, 4)
    turned = orientation.make_upright(stored, 1, 2)
    for z in range(2):
        for c in range(4):
            np.testing.assert_array_equal(
                turned[z, :, :, c], orientation.make_upright(stored[z, :, :, c], 0, 1)
            )


@pytest.mark.parametrize("tag", TAGS)
def test_swap_gives_the_turned_shape_and_is_its_own_inverse(tag):
    orientation = Orientation.from_tag(tag)
    assert orientation.swap((3, 5)) == orientation.make_upright(stored_picture(), 0, 1).shape
    assert orientation.swap(orientation.swap((3, 5))) == (3, 5)


@pytest.mark.parametrize("tag", [0, 9, -1])
def test_a_value_outside_the_standard_counts_as_upright(tag):
    assert Orientation.from_tag(tag) == UPRIGHT
    assert UPRIGHT.upright
    assert not Orientation.from_tag(6).upright
