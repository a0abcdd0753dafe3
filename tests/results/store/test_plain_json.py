import json

import numpy as np
from chunkmeans.results.store.plain_json import plain, to_json
from hypothesis import given
from hypothesis import strategies as st

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(values)
def test_what_json_knows_is_read_as_it_was_written(value):
    assert json.loads(to_json(value)) == value


def test_numpys_numbers_become_plain_ones():
    found = plain({"a": np.float32(0.5), "b": np.arange(2, dtype="u8"), "c": (np.True_, {1})})
    assert found == {"a": 0.5, "b": [0, 1], "c": [True, [1]]}
    assert type(found["c"][0]) is bool


def test_numbers_that_json_does_not_know_become_texts_that_float_reads():
    text = to_json([float("nan"), np.inf, -np.inf])
    assert text == '["NaN", "Infinity", "-Infinity"]'
    assert str([float(x) for x in json.loads(text)]) == "[nan, inf, -inf]"
