from itertools import pairwise

import pytest
from chunkmeans.engines.dask.bundle import bundles_by_weight
from hypothesis import given
from hypothesis import strategies as st

weights = st.lists(st.integers(0, 50))
targets = st.integers(1, 100)


@given(weights, targets)
def test_bundles_keep_every_item_once_and_in_order(items, target):
    assert [i for bundle in bundles_by_weight(items, int, target) for i in bundle] == items


@given(weights, targets)
def test_no_bundle_is_empty_and_only_a_single_item_is_heavier_than_asked(items, target):
    for bundle in bundles_by_weight(items, int, target):
        assert len(bundle) == 1 or (bundle and sum(bundle) <= target)


@given(weights, targets)
def test_no_bundle_could_take_the_next_item(items, target):
    made = list(bundles_by_weight(items, int, target))
    for bundle, following in pairwise(made):
        assert sum(bundle) + following[0] > target


def test_items_are_taken_as_bundles_are_asked_for():
    taken = []
    made = bundles_by_weight((taken.append(i) or i for i in range(1, 100)), int, 3)
    assert next(made) == (1, 2)
    assert taken == [1, 2, 3]


def test_a_target_below_one_is_refused():
    with pytest.raises(ValueError, match="at least 1, not 0"):
        list(bundles_by_weight([1], int, 0))
