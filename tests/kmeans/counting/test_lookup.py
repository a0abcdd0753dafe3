"""The label of every possible vector: that of its distances."""

import numpy as np
import pytest
from chunkmeans.kmeans.counting.codes import decode, look_up
from chunkmeans.kmeans.counting.colours import offset
from chunkmeans.kmeans.counting.lookup import look_up_table
from chunkmeans.kmeans.metric import Metric
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import oracle


def labels(values, means, weights=None):
    """Labels by the table, from 1."""
    metric = Metric(np.ones(values.shape[1]) if weights is None else weights)
    numbers = np.arange(1, len(means) + 1, dtype=np.uint16)
    table = look_up_table(means, metric, numbers, values.dtype)
    out = np.empty(len(values), np.uint16)
    look_up(values, offset(values.dtype), 8 * values.dtype.itemsize, table, out)
    return out


@pytest.mark.parametrize(("dtype", "channels"), [("u1", 1), ("u1", 2), ("u2", 1), ("i2", 1)])
@pytest.mark.parametrize("k", [1, 2, 7])
def test_equals_brute_force_for_every_small_vector(dtype, channels, k):
    rng = np.random.default_rng(k)
    bits = 8 * np.dtype(dtype).itemsize
    values = np.empty((2 ** (bits * channels), channels), dtype)
    codes = np.arange(len(values), dtype=np.uint32)
    decode(codes, offset(values.dtype), bits, values)
    means = values[rng.integers(0, len(values), k)] + rng.choice([0.0, 0.5], (k, channels))
    expected = oracle.nearest(values, means, np.ones(channels)) + 1
    assert np.array_equal(labels(values, means), expected)


@settings(max_examples=8)
@given(st.data())
def test_equals_brute_force_for_colours_on_the_borders(data):
    k = data.draw(st.integers(1, 12))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    grid = data.draw(st.sampled_from([1.0, 0.5, 1e-9]))  # whole means have ties
    means = np.round(rng.uniform(-20, 275, (k, 3)) / grid) * grid
    weights = np.array(data.draw(st.sampled_from([[1.0, 1.0, 1.0], [0.5, 2.0, 0.3]])))
    between = (means[rng.integers(0, k, 4000)] + means[rng.integers(0, k, 4000)]) / 2
    near = np.clip(np.round(between + rng.normal(0, 2, between.shape)), 0, 255).astype(np.uint8)
    anywhere = rng.integers(0, 256, (4000, 3), np.uint8)
    values = np.concatenate([near, anywhere])
    assert np.array_equal(
        labels(values, means, weights), oracle.nearest(values, means, weights) + 1
    )


def test_every_colour_has_an_entry():
    metric, numbers = Metric(np.ones(3)), np.array([7, 9], np.uint8)
    table = look_up_table(np.array([[0.0] * 3, [255.0] * 3]), metric, numbers, np.dtype("u1"))
    assert np.bincount(table).nonzero()[0].tolist() == [7, 9]
    assert (table == 7).sum() == (table == 9).sum() == 2**23


def test_wider_vectors_have_no_table():
    with pytest.raises(ValueError, match="4 channels of uint8 have more than 24 bits"):
        look_up_table(np.zeros((1, 4)), Metric(np.ones(4)), np.ones(1, np.uint8), np.dtype("u1"))
