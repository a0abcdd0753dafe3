import numpy as np
import pytest
from chunkmeans.results.write.pyramid import halve
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.results.examples import brute_mode


@st.composite
def drawn(draw):
    axes = draw(st.sampled_from(["yx", "zyx", "tyx", "tzyx"]))
    shape = draw(st.tuples(*[st.integers(1, 9)] * len(axes)))
    dtype = draw(st.sampled_from([np.uint8, np.uint16]))
    top = np.iinfo(dtype).max
    values = st.sampled_from([0, 1, 2, 3, top - 1, top]) | st.integers(0, top)
    return axes, draw(hnp.arrays(dtype, shape, elements=values))


@given(drawn())
def test_the_mode_is_the_most_frequent_pixel_and_the_lowest_of_equals(case):
    axes, labels = case
    half = halve(labels, axes, "mode")
    assert half.dtype == labels.dtype
    np.testing.assert_array_equal(half, brute_mode(labels, axes))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("axes", "shape"), [("yx", (203, 301)), ("zyx", (31, 45, 67))])
@pytest.mark.parametrize("k", [2, 3, 9, 250])
def test_the_mode_of_larger_images_is_that_of_brute_force(axes, shape, dtype, k):
    labels = np.random.default_rng(k).integers(0, k, shape).astype(dtype)
    np.testing.assert_array_equal(halve(labels, axes, "mode"), brute_mode(labels, axes))


@pytest.mark.parametrize(
    ("block", "mode"),
    [
        ([[7, 7], [3, 3]], 3),
        ([[9, 5], [5, 9]], 5),
        ([[0, 4], [4, 4]], 4),
        ([[0, 0], [4, 4]], 0),
        ([[4, 3], [2, 1]], 1),
        ([[255, 255], [0, 1]], 255),
    ],
)
def test_hand_table_of_modes(block, mode):
    assert halve(np.array(block, np.uint8), "yx", "mode").tolist() == [[mode]]


def test_at_an_odd_border_the_pixels_that_exist_decide():
    labels = np.array([[1, 1, 5], [1, 1, 4], [8, 9, 6]], np.uint16)
    assert halve(labels, "yx", "mode").tolist() == [[1, 4], [8, 6]]


def test_nearest_takes_the_first_pixel():
    labels = np.arange(2 * 3 * 5 * 4, dtype=np.uint8).reshape(2, 3, 5, 4)
    np.testing.assert_array_equal(halve(labels, "tzyx", "nearest"), labels[:, ::2, ::2, ::2])


@given(drawn())
def test_a_view_gives_what_its_copy_gives(case):
    axes, labels = case
    turned = labels.transpose(*range(labels.ndim - 2), -1, -2)
    np.testing.assert_array_equal(
        halve(turned, axes, "mode"), halve(np.ascontiguousarray(turned), axes, "mode")
    )
