"""Leaves of small tables: the sums of a plain pass, bit for bit, however often samples occur."""

import numpy as np
import pytest
from chunkmeans.kmeans.compiled.columns import OFTEN, columns_bytes, columns_of
from chunkmeans.kmeans.metric import Metric
from chunkmeans.kmeans.samples import Samples
from chunkmeans.kmeans.tree import LEAF, Tree

from tests.kmeans.test_tree import agree


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2"])
@pytest.mark.parametrize("most", [1, 1000, OFTEN, OFTEN + 1, 2**36])
@pytest.mark.parametrize("weights", [(1, 1, 1), (0.3, 2, 1.1)])
def test_a_table_equals_a_plain_pass_however_often_its_samples_occur(dtype, most, weights):
    """Most leaves lie between two means or three, and ties are among them."""
    rng = np.random.default_rng(most % 1000)
    info = np.iinfo(dtype)
    values = rng.integers(info.max - 40, info.max, (20 * LEAF, 3), dtype, endpoint=True)
    samples = Samples(values, rng.choice([1, max(1, most - 1), most], len(values)))
    metric = Metric(np.array(weights, float))
    tree = Tree.of(samples, metric)
    assert tree.arrays.columns.size == (4 * len(values) if most <= OFTEN else 0)
    middle = np.full(3, info.max - 20.0)
    for off in (0.5, 4, 12 + 1 / 3):
        lower, upper = middle - off, middle + off
        for means in (
            [lower, upper],
            [middle, middle],
            [upper, lower, middle + 1.5 * off],
            [middle, lower, upper, middle],
            [upper, lower, middle, lower, [*lower[:2], upper[2]]],
        ):
            agree(samples, np.array(means), metric, tree)


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        (np.zeros((9, 3), np.uint8), None),
        (np.zeros((9, 3), np.int64), np.ones(9, np.int64)),
        (np.zeros((9, 3), np.float32), np.ones(9, np.int64)),
        (np.zeros((9, 3), np.uint8), np.full(9, OFTEN + 1)),
    ],
)
def test_what_is_no_table_of_small_integers_is_not_taken_apart(values, counts):
    assert columns_of(Samples(values, counts)).shape == (4, 0)


def test_a_large_table_is_not_taken_apart(monkeypatch):
    values = np.random.default_rng(0).integers(0, 255, (3 * LEAF, 3), np.uint8)
    samples, metric = Samples(values, np.ones(len(values), np.int64)), Metric(np.ones(3))
    assert columns_of(samples).nbytes == columns_bytes(samples) == 8 * 4 * len(values)
    monkeypatch.setattr("chunkmeans.kmeans.compiled.columns.SMALL_TABLE", 2 * LEAF)
    assert columns_of(samples).nbytes == columns_bytes(samples) == 0
    agree(samples, np.array([[60.0, 60, 60], [200, 200, 200]]), metric)
