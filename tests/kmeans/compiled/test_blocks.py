"""Leaving out means: never one that is nearest to a sample."""

import numpy as np
import pytest
from chunkmeans.kmeans.compiled.blocks import BLOCK_SIZE, LANES, reach_of, workspace_for
from chunkmeans.kmeans.compiled.calls import addresses, steps_at
from chunkmeans.kmeans.compiled.jit import compiled
from chunkmeans.kmeans.compiled.typed_bytes import as_bytes, read_only
from hypothesis import given
from hypothesis import strategies as st

from tests.support import oracle, strategies


@compiled
def box_of(places, raw, kind, start, size, space):
    """Find the box of a block, as every loop over blocks does."""
    steps = steps_at(places)
    if steps.bound(raw, kind, start, size, space.lanes, space.lo, space.hi) == 0:
        steps.transpose(raw, kind, start, size, space.transposed, space.words)
        steps.bound_transposed(space.transposed, size, space.scratch, space.lo, space.hi)


@compiled
def prune(places, space, means, weights, reach, among, candidates):
    steps = steps_at(places)
    return steps.prune(space.lo, space.hi, means, weights, reach, among, len(among), candidates)


def workspace_of(values, k, start, size):
    """The box of some rows, in the workspace for blocks of them."""
    rows, kind = as_bytes(values)
    space = workspace_for(values.shape[1], k, kind)
    box_of(addresses(), rows, kind, start, size, space)
    return space


def candidates(values, means, weights, among=None):
    """Means that `prune` leaves for a block of all values."""
    k = len(means)
    space = workspace_of(values, k, 0, len(values))
    among = np.arange(k, dtype=np.int32) if among is None else np.array(among, np.int32)
    candidates = np.empty(k, np.int32)
    left = prune(
        addresses(),
        space,
        read_only(means),
        read_only(weights),
        reach_of(read_only(means)),
        among,
        candidates,
    )
    return candidates[:left].tolist()


@given(strategies.images(non_finite=False), st.integers(1, 9), st.data())
def test_no_nearest_mean_is_left_out(image, k, data):
    values = np.ascontiguousarray(image.samples[:BLOCK_SIZE])
    means = data.draw(strategies.given_means(image, k))
    weights = data.draw(strategies.channel_weights(image.channels))
    nearest = set(oracle.nearest(values, means, weights).tolist())
    left = candidates(values, means, weights)
    assert nearest <= set(left)
    assert left == sorted(left)


@given(strategies.images(non_finite=False), st.integers(2, 9), st.data())
def test_a_subset_is_pruned_by_itself(image, k, data):
    values = np.ascontiguousarray(image.samples[:BLOCK_SIZE])
    means = data.draw(strategies.given_means(image, k))
    weights = data.draw(strategies.channel_weights(image.channels))
    among = sorted(data.draw(st.sets(st.integers(0, k - 1), min_size=1)))
    own = oracle.nearest(values, means[among], weights)
    assert {among[i] for i in own.tolist()} <= set(candidates(values, means, weights, among))


def test_what_is_far_from_every_sample_is_left_out():
    values = np.array([[9], [12], [11]], np.uint8)
    means = np.array([[10.0], [200.0], [11.0], [60.0]])
    assert candidates(values, means, np.ones(1)) == [0, 2]


def test_a_tie_leaves_both():
    values = np.array([[10, 10], [10, 14]], np.uint8)
    means = np.array([[8.0, 12.0], [12.0, 12.0]])
    assert candidates(values, means, np.ones(2)) == [0, 1]


def test_distances_that_vanish_leave_all():
    values = np.array([[1e-200], [3e-200]])
    assert candidates(values, np.array([[0.0], [9e-200]]), np.ones(1)) == [0, 1]


@pytest.mark.parametrize("size", [1, LANES - 1, LANES, LANES + 1, 5 * LANES + 3, BLOCK_SIZE])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("channels", [1, 3, 6])
def test_the_box_is_that_of_the_block(size, dtype, channels):
    rng = np.random.default_rng(size)
    values = rng.normal(50, 20, (BLOCK_SIZE + 9, channels)).astype(dtype)
    space = workspace_of(values, 1, 7, size)
    assert space.lo.tolist() == values[7 : 7 + size].min(axis=0).astype(float).tolist()
    assert space.hi.tolist() == values[7 : 7 + size].max(axis=0).astype(float).tolist()
