"""What the axes of a series mean, by tables."""

import pytest
from chunkmeans.errors import SourceError
from chunkmeans.sources.formats.tiff.axes import series_layout

GREY = (1, 1, 9, 13, 1)
RGB = (1, 1, 9, 13, 3)
PLANAR = (3, 1, 9, 13, 1)
DEEP = (1, 5, 9, 13, 1)


@pytest.mark.parametrize(
    ("axes", "shape", "page", "asked", "image", "stored", "channels"),
    [
        ("YX", (9, 13), GREY, None, "yx", (9, 13), 1),
        ("YXS", (9, 13, 3), RGB, None, "yx", (9, 13), 3),
        ("SYX", (3, 9, 13), PLANAR, None, "yx", (9, 13), 3),
        ("CYX", (4, 9, 13), GREY, None, "yx", (9, 13), 4),
        ("IYX", (4, 9, 13), GREY, None, "zyx", (4, 9, 13), 1),  # pages of one shape: a volume
        ("QYXS", (4, 9, 13, 3), RGB, None, "zyx", (4, 9, 13), 3),
        ("ZYX", (5, 9, 13), DEEP, None, "zyx", (5, 9, 13), 1),  # one page that is a volume
        ("TZYX", (2, 5, 9, 13), DEEP, None, "tzyx", (2, 5, 9, 13), 1),
        ("TZCYX", (2, 4, 3, 9, 13), GREY, None, "tzyx", (2, 4, 9, 13), 3),
        ("ZTCYX", (4, 2, 3, 9, 13), GREY, None, "tzyx", (2, 4, 9, 13), 3),
        ("QZYX", (1, 4, 9, 13), GREY, None, "zyx", (4, 9, 13), 1),  # length 1 means nothing
        ("CYXS", (2, 9, 13, 3), RGB, None, "yx", (9, 13), 6),
        ("YX", (1, 13), (1, 1, 1, 13, 1), None, "yx", (1, 13), 1),
        ("YX", (1, 1), (1, 1, 1, 1, 1), None, "yx", (1, 1), 1),
        ("QYX", (9, 13, 6), (1, 1, 13, 6, 1), "yxc", "yx", (9, 13), 6),
        ("SYX", (3, 9, 13), PLANAR, "zyx", "zyx", (3, 9, 13), 1),
        ("QYX", (1, 9, 13), GREY, "zyx", "zyx", (1, 9, 13), 1),  # asked axes stay
    ],
)
def test_axes_mean(axes, shape, page, asked, image, stored, channels):
    found = series_layout(axes, shape, page, asked)
    assert found.axes == image
    assert found.shape == stored
    of_pages = 1 if found.channel_axis is None else found.sizes[found.channel_axis]
    of_samples = 1 if found.sample_axis is None else found.sizes[found.sample_axis]
    assert of_pages * of_samples == channels


@pytest.mark.parametrize(
    ("axes", "shape"), [("IQYX", (2, 3, 9, 13)), ("ZIYX", (2, 3, 9, 13)), ("RZYX", (2, 3, 9, 13))]
)
def test_axes_that_are_not_clear_are_refused(axes, shape):
    with pytest.raises(SourceError, match="set `axes:`"):
        series_layout(axes, shape, GREY, None)


def test_a_series_that_its_pages_cannot_make_up_is_refused_with_both_shapes():
    with pytest.raises(SourceError, match=r"\(4, 9, 12\).*\(1, 1, 9, 13, 1\)"):
        series_layout("ZYX", (4, 9, 12), GREY, None)


def test_an_orientation_has_a_meaning_only_where_pages_lie_flat():
    assert series_layout("YX", (9, 13), GREY, None).pages_lie_flat
    assert not series_layout("QYX", (9, 13, 6), (1, 1, 13, 6, 1), "yxc").pages_lie_flat
