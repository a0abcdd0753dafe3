import pickle

import numpy as np
import pytest
from chunkmeans.image.info import ImageInfo, Pixels


def info(**changes):
    """A small RGB image's header."""
    fields = {
        "axes": "yx", "shape": (20, 30), "channels": 3, "dtype": np.dtype("u2"), "chunks": (10, 30),
    }  # fmt: skip
    return ImageInfo(**{**fields, **changes})


def test_pixels_are_counted_without_channels_and_bytes_with_them():
    assert info().pixels == 600
    assert info().nbytes == 600 * 3 * 2


def test_sizes_beyond_32_bits_are_exact():
    huge = info(axes="zyx", shape=(10**6, 10**6, 10**6), chunks=(1, 1, 1))
    assert (huge.pixels, huge.nbytes) == (10**18, 6 * 10**18)


def test_a_plain_image_has_no_nodata_no_alpha_and_no_scale():
    plain = info()
    assert (plain.nodata, plain.alpha, plain.pixel_size, plain.warnings) == ((), False, (), ())
    assert dict(plain.tags) == {}


def test_a_header_travels_and_does_not_change():
    header = info(nodata=(0.5,), tags={"epsg": 4326}, channel_names=("r", "g", "b"))
    assert pickle.loads(pickle.dumps(header)) == header
    with pytest.raises(AttributeError):
        header.channels = 4


def test_two_headers_do_not_share_their_tags():
    assert info().tags is not info().tags


def test_pixels_count_everywhere_where_the_file_says_nothing():
    assert Pixels(np.zeros((2, 2, 1))).valid is None
