import json
import pickle

import numpy as np
import pytest
from chunkmeans.kmeans.model import Iteration, Model, Start
from hypothesis import given
from hypothesis import strategies as st

finite = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(min_value=0, allow_nan=False, allow_infinity=False)


@st.composite
def models(draw):
    """Models of any numbers."""
    k, c, n = (draw(st.integers(1, 3)) for _ in "kcn")

    def floats(*shape):
        size = int(np.prod(shape))
        return np.array(draw(st.lists(finite, min_size=size, max_size=size))).reshape(shape)

    counts = st.integers(0, 2**62)
    history = draw(st.lists(st.lists(counts, min_size=k, max_size=k), min_size=n, max_size=n))
    start = st.builds(Start, positive, st.integers(1, 1000), positive, st.booleans())
    starts = tuple(draw(st.lists(start, min_size=1, max_size=3)))
    return Model(
        means=floats(k, c),
        order=np.array(draw(st.permutations(range(k))), np.int64),
        weights=floats(c),
        counts=np.array(history[-1], np.int64),
        deviations=floats(k, c),
        inertia=draw(positive),
        converged=draw(st.booleans()),
        residuals=floats(n),
        inertias=floats(n),
        history=np.array(history, np.int64),
        starts=starts,
        best=draw(st.integers(0, len(starts) - 1)),
    )


ARRAYS = ("means", "order", "weights", "counts", "deviations", "residuals", "inertias", "history")


def same(a, b):
    """Whether two models are the same, bit for bit."""
    return all(
        getattr(a, name).tobytes() == getattr(b, name).tobytes()
        and getattr(a, name).shape == getattr(b, name).shape
        and getattr(a, name).dtype == getattr(b, name).dtype
        for name in ARRAYS
    ) and (a.inertia, a.converged, a.starts, a.best) == (b.inertia, b.converged, b.starts, b.best)


@given(models())
def test_json_keeps_every_bit(model):
    text = json.dumps(model.to_dict(), allow_nan=False)
    assert same(Model.from_dict(json.loads(text)), model)


@given(models())
def test_a_model_travels(model):
    assert same(pickle.loads(pickle.dumps(model)), model)


@given(models())
def test_k_is_the_number_of_labels(model):
    assert model.k == len(model.counts)


def test_values_do_not_change():
    iteration = Iteration(1, np.zeros((1, 1)), 0.0, 0.0, np.ones(1, np.int64))
    assert iteration.refilled == ()
    for value in (iteration, Start(0.0, 1, 0.0, True)):
        with pytest.raises(AttributeError):
            value.residual = 1.0
