"""What samples mean: against pillow, against the formula, and by what is read for it."""

import numpy as np
import pytest
from chunkmeans.errors import SourceError
from chunkmeans.sources.decode.colour import Colour, cmyk_to_rgb, palette_colours, ycbcr_to_rgb
from PIL import Image as Pillow

U8 = np.dtype("u1")


def test_cmyk_of_every_pair_of_ink_and_black_is_pillows():
    inks = np.zeros((256, 256, 4), np.uint8)
    inks[..., 0] = np.arange(256)[:, None]
    inks[..., 1] = 255 - inks[..., 0]
    inks[..., 3] = np.arange(256)[None, :]
    expected = np.asarray(Pillow.fromarray(inks, "CMYK").convert("RGB"))
    np.testing.assert_array_equal(cmyk_to_rgb(inks), expected)


def test_cmyk_of_16_bits_runs_from_white_to_black():
    inks = np.array([[0, 0, 0, 0], [65535, 0, 0, 0], [0, 0, 0, 65535]], np.uint16)
    assert cmyk_to_rgb(inks).tolist() == [[65535] * 3, [0, 65535, 65535], [0, 0, 0]]


def test_ycbcr_is_within_a_step_of_pillows():
    samples = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    expected = np.asarray(Pillow.fromarray(samples, "YCbCr").convert("RGB")).astype(int)
    assert np.abs(ycbcr_to_rgb(samples) - expected).max() <= 1


@pytest.mark.parametrize(
    ("entries", "dtype", "first"),
    [
        ([257, 514, 65535], "uint8", 1),
        ([256, 512, 65280], "uint8", 1),
        ([257, 512, 65535], "uint8", 1),
        ([1, 2, 255], "uint8", 1),
        ([257, 515, 65535], "uint16", 257),
    ],
)
def test_a_palette_has_the_depth_it_was_made_in(entries, dtype, first):
    colours = palette_colours(np.array([entries] * 3, np.uint16))
    assert colours.shape == (3, 3)
    assert colours.dtype == dtype
    assert colours[0, 0] == first


def test_a_colour_beyond_the_palette_is_an_error_with_both_numbers():
    colour = Colour("palette", 1, U8, palette=np.zeros((4, 3), np.uint8))
    with pytest.raises(SourceError, match="colour 9, the palette ends at 3"):
        colour.apply(np.full((2, 2, 1), 9, np.uint8), [0], [0])


def test_only_the_samples_that_channels_need_are_asked_for():
    rgba = Colour("plain", 5, U8, alpha=(3,), colours=3)
    assert rgba.channels == 4
    assert rgba.needed([1]) == (1, 3)
    assert rgba.needed([3]) == (3, 4)
    inks = Colour("cmyk", 5, U8, colours=4)
    assert inks.channels == 4
    assert inks.needed([3]) == (4,)
    assert inks.needed([0]) == (0, 1, 2, 3)


def test_channels_beside_ink_stay_as_they_are():
    colour = Colour("cmyk", 6, U8, alpha=(5,), colours=4)
    stored = np.array([[255, 0, 0, 0, 77, 0], [0, 0, 0, 0, 78, 9]], np.uint8)
    values, valid = colour.apply(stored, range(6), [3, 0])
    assert values.tolist() == [[77, 0], [78, 255]]
    assert valid is not None
    assert valid.tolist() == [False, True]


def test_white_is_zero_turns_colours_and_not_extra_samples():
    colour = Colour("negative", 2, U8, colours=1, top=15)
    values, valid = colour.apply(np.array([[0, 3], [15, 4]], np.uint8), [0, 1], [0, 1])
    assert values.tolist() == [[15, 3], [0, 4]]
    assert valid is None
