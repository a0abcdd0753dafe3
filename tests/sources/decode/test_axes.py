from itertools import permutations

import numpy as np
import pytest
from chunkmeans.errors import SourceError
from chunkmeans.image.grid import Box
from chunkmeans.sources.decode.axes import ArrayLayout, axes_of_names, guess_axes
from hypothesis import given
from hypothesis import strategies as st

ORDERS = ["".join(p) for n in (2, 3, 4, 5) for p in permutations("tzyxc", n) if {*"yx"} <= {*p}]


@given(st.sampled_from(ORDERS), st.randoms(use_true_random=False))
def test_any_order_of_axes_reads_the_same_samples(order, random):
    lengths = {letter: random.randint(1, 5) for letter in order}
    stored = np.arange(np.prod(list(lengths.values()))).reshape([lengths[a] for a in order])
    layout = ArrayLayout(order, stored.shape)
    shape = layout.along(stored.shape)
    wanted = np.einsum(f"{order}->{layout.samples}{'c' if 'c' in order else ''}", stored)
    wanted = wanted.reshape(*shape, layout.channels)
    box = Box(tuple(random.randrange(n) for n in shape), shape)
    channels = random.sample(range(layout.channels), random.randint(1, layout.channels))
    index = layout.index(box, channels)
    np.testing.assert_array_equal(layout.arrange(stored[index]), wanted[box.slices][..., channels])


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((9, 9), "yx"),
        ((9, 9, 3), "yxc"),
        ((1, 4, 3), "yxc"),
        ((9, 9, 1), "yxc"),
        ((4, 9, 9), "cyx"),
        ((5, 9, 9), "zyx"),
        ((9, 9, 6), "zyx"),
        ((9, 9, 9, 3), "zyxc"),
        ((2, 9, 9, 9), "czyx"),
    ],
)
def test_axes_are_guessed_by_the_table(shape, axes):
    assert guess_axes(shape) == axes


@pytest.mark.parametrize("shape", [(), (9,)])
def test_fewer_than_two_axes_are_no_image(shape):
    with pytest.raises(SourceError, match="at least the axes y, x"):
        guess_axes(shape)


@pytest.mark.parametrize("shape", [(9, 9, 9, 9), (9, 9, 9, 9, 3)])
def test_a_shape_outside_the_table_asks_for_axes(shape):
    with pytest.raises(SourceError, match=r"images\.axes"):
        guess_axes(shape)


@pytest.mark.parametrize(
    ("axes", "shape"), [("yx", (3, 3, 3)), ("yxs", (3, 3, 3)), ("yyx", (3, 3, 3)), ("zc", (3, 3))]
)
def test_axes_that_do_not_fit_are_an_error_with_both(axes, shape):
    with pytest.raises(SourceError) as error:
        ArrayLayout(axes, shape)
    assert repr(axes) in str(error.value)
    assert str(shape) in str(error.value)


@pytest.mark.parametrize("names", [None, [None, "x"], ["y", "row"], ["spam", "y", "x"]])
def test_names_that_do_not_tell_all_axes_tell_none(names):
    assert axes_of_names(names) is None
