"""The distance that decides, as every loop computes it."""

import numpy as np
import pytest
from chunkmeans.kmeans.compiled.blocks import BLOCK_SIZE
from chunkmeans.kmeans.compiled.nearest import closest, measure_block, squared_distances


@pytest.mark.parametrize("channels", [1, 2, 3, 16])
@pytest.mark.parametrize("scaled", [True, False])
def test_a_block_and_a_single_sample_are_measured_to_the_same_bits(channels, scaled):
    rng = np.random.default_rng(channels)
    block, means = rng.normal(0, 9, (channels, BLOCK_SIZE)), rng.normal(0, 9, (5, channels))
    weights = rng.uniform(0.1, 3, channels) if scaled else np.ones(channels)
    expected = np.zeros((5, BLOCK_SIZE))
    for channel, row in enumerate(block):  # NumPy multiplies and adds in this order, unfused
        scaled_differences = (row - means[:, channel, None]) * weights[channel]
        expected += scaled_differences * scaled_differences
    out = np.empty((5, BLOCK_SIZE))
    for mean, row in zip(means, out, strict=True):
        squared_distances(block, 0, BLOCK_SIZE, mean, weights, scaled, row)
    assert np.array_equal(out, expected)
    scratch, label = np.empty((2, BLOCK_SIZE)), np.empty(BLOCK_SIZE, np.int64)
    measure_block(block, BLOCK_SIZE, means, weights, scaled, *scratch, label)
    assert np.array_equal(scratch[1], expected.min(axis=0))
    assert label.tolist() == expected.argmin(axis=0).tolist()
    assert [closest(block, p, means, weights) for p in range(BLOCK_SIZE)] == label.tolist()


def test_some_samples_of_a_longer_row_are_measured_alike():
    rows = np.random.default_rng(0).normal(0, 9, (3, 999))
    whole, part = np.empty(999), np.empty(100)
    squared_distances(rows, 0, 999, rows[:2, 5], np.ones(2), False, whole)
    squared_distances(rows, 300, 100, rows[:2, 5], np.ones(2), False, part)
    assert np.array_equal(part, whole[300:400])
