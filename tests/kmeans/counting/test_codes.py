"""Codes of integer vectors."""

import numpy as np
import pytest
from chunkmeans.kmeans.counting.codes import encode
from hypothesis import given
from hypothesis import strategies as st

from tests.support import strategies


@pytest.mark.parametrize(
    ("dtype", "channels"), [("u1", 1), ("u1", 2), ("u1", 3), ("u2", 1), ("i2", 1)]
)
@given(data=st.data())
def test_codes_are_ordered_as_the_vectors_are(dtype, channels, data):
    number = strategies.numbers(dtype)
    vector = st.lists(number, min_size=channels, max_size=channels)
    vectors = data.draw(st.lists(vector, min_size=2, max_size=8))
    offset = -np.iinfo(dtype).min
    codes = np.empty(len(vectors), np.uint32)
    encode(np.array(vectors, dtype), offset, 8 * np.dtype(dtype).itemsize, codes)
    by_code = [vectors[i] for i in np.argsort(codes, kind="stable")]
    assert by_code == sorted(vectors)
    assert len(set(codes.tolist())) == len(set(map(tuple, vectors)))
    assert codes.max() < 2**24
