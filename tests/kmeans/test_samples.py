import numpy as np
import pytest
from chunkmeans.kmeans.samples import ONCE, Samples, canonical

from tests.kmeans.examples import CANONICAL, column

EVERY = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", EVERY)
def test_a_canonical_type_holds_every_number_of_the_stored_one(name, order):
    dtype = np.dtype(name).newbyteorder(order)
    found = canonical(dtype)
    assert found.str[1:] in CANONICAL
    assert found.isnative
    if dtype.kind == "b":
        extremes = np.array([False, True])
    else:
        limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
        extremes = np.array([limits.min, limits.max, 1], dtype)
    assert extremes.astype(found).tolist() == extremes.tolist()


@pytest.mark.parametrize("name", CANONICAL)
def test_a_canonical_type_is_its_own(name):
    assert canonical(name) == np.dtype(name)


@pytest.mark.parametrize(
    "name", ["c8", "c16", "O", "U3", "S2", "M8[s]", "m8[s]", "V4", "longdouble"]
)
def test_other_types_are_refused_by_name(name):
    dtype = np.dtype(name)
    with pytest.raises(TypeError, match="cannot segment pixels of type") as error:
        canonical(dtype)
    assert str(dtype) in str(error.value)


def test_samples_without_counts_have_no_weights():
    assert Samples(column(1, 2)).weights is ONCE
    counts = np.array([3, 4])
    assert Samples(column(1, 2), counts).weights is counts
