"""Exact totals travel through a store unchanged."""

from dataclasses import replace

import numpy as np
import pytest
from chunkmeans.errors import ResultError
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.samples import Samples
from chunkmeans.results.write import totals as module
from chunkmeans.results.write.totals import averages, totals_attributes, totals_of
from hypothesis import given
from hypothesis import strategies as st

from tests.results.examples import any_store, model
from tests.support.strategies import DTYPES

__all__ = ["any_store"]

VALUES = np.array([[1, 2], [3, 4], [3, 9], [100, 50]])
ROWS = np.array([2, 0, 0, 2], np.uint16)


def written(dtype="uint8", values=VALUES, rows=ROWS, k=3):
    return Moments.of(Samples(values.astype(dtype)), rows, k)


def labelled(moments, order=(1, 0, 2), **changed):
    """Return a model of labels whose pixels have these totals."""
    k = len(moments.counts)
    counts = moments.counts[np.argsort(order)]
    return replace(model(k, 2, counts=counts), order=np.array(order), **changed)


def same(a, b):
    return np.array_equal(a.counts, b.counts) and a.sums == b.sums and a.squares == b.squares


@pytest.mark.parametrize("dtype", DTYPES)
def test_totals_are_read_as_they_were_written(any_store, dtype, monkeypatch):
    for most in (module.MOST_LETTERS, 0):
        monkeypatch.setattr(module, "MOST_LETTERS", most)
        moments = written(dtype)
        kept = totals_attributes(any_store, "images/a", moments, labelled(moments), pooled=True)
        assert same(totals_of(any_store, "images/a", kept), moments)
        merged = totals_of(any_store, "images/a", kept).merge(moments)
        assert same(merged, moments.merge(moments))


@given(st.lists(st.floats(-1e140, 1e140), min_size=4, max_size=4))
def test_the_merged_totals_of_floats_are_exact(values):
    from chunkmeans.results.store.store import Store

    moments = written("float64", np.array(values).reshape(2, 2), np.zeros(2, np.uint16), 1)
    store = Store("memory://totals")
    kept = totals_attributes(store, "a", moments, labelled(moments, (0,)), pooled=True)
    assert same(totals_of(store, "a", kept).merge(moments), moments.merge(moments))


def test_averages_are_of_each_labels_pixels_and_none_where_there_is_no_pixel():
    moments = written()
    found = averages(moments, labelled(moments))
    np.testing.assert_array_equal(found, [[np.nan, np.nan], [3.0, 6.5], [50.5, 26.0]])


def test_nothing_is_kept_where_the_means_are_the_averages(any_store):
    moments = written()
    means = np.nan_to_num(averages(moments, labelled(moments)))
    fit = labelled(moments, means=means)
    assert totals_attributes(any_store, "a", moments, fit, pooled=False) == {}
    assert totals_attributes(any_store, "a", moments, fit, pooled=True) != {}
    other = labelled(moments, means=means + np.array([0, 1]))
    assert totals_attributes(any_store, "a", moments, other, pooled=False) != {}
    assert totals_of(any_store, "a", {}) is None


@pytest.mark.parametrize(
    "totals", [{}, {"counts": [1], "sums": {}}, {"counts": [1], "sums": {"limbs": "?"}}]
)
def test_damaged_totals_are_an_error_that_names_the_store(any_store, totals):
    with pytest.raises(ResultError, match="images/a: the totals are damaged"):
        totals_of(any_store, "images/a", {"totals": totals})
