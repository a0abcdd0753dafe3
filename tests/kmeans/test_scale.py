"""The weights of channels, of their spread; whole fits by them are in `test_fit`."""

import numpy as np
import pytest
from chunkmeans.kmeans.scale import channel_weights

from tests.kmeans.examples import collect, column


def weights_of(values, scale):
    found = collect(values)
    return channel_weights(scale, found.moments(), found.lowest, found.highest).tolist()


@pytest.mark.parametrize("scale", ["standard", "range"])
def test_a_constant_channel_keeps_weight_1(scale):
    values = np.array([[5, 0], [5, 4]], np.uint8)
    assert weights_of(values, scale) == [1.0, 0.5 if scale == "standard" else 0.25]


@pytest.mark.parametrize("dtype", ["i8", "u8"])
def test_the_range_of_wide_integers_does_not_wrap(dtype):
    info = np.iinfo(dtype)
    assert weights_of(column(info.min, info.max, dtype=dtype), "range") == [2.0**-64]


def test_none_is_one_everywhere():
    assert weights_of(column(1, 9), "none") == [1.0]


def test_given_weights_are_taken_as_they_are():
    assert weights_of(column(1, 9), (0.25,)) == [0.25]
