"""Arrays inside JSON are the same arrays again, and damage is an error."""

import json
import zlib

import numpy as np
import pytest
from chunkmeans.results.store.packed_arrays import pack_array, unpack_array
from chunkmeans.results.store.plain_json import to_json


@pytest.mark.parametrize("dtype", ["u1", "i2", ">u2", "i8", "u8", "f4", ">f8"])
@pytest.mark.parametrize("shape", [(0,), (3,), (2, 3), (0, 4)])
def test_an_array_is_the_same_again_to_the_bit(dtype, shape):
    values = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    again = unpack_array(json.loads(to_json(pack_array(values))))
    assert again.dtype == values.dtype.newbyteorder("=")
    assert again.shape == shape
    assert np.array_equal(again, values)
    again[...] = 1  # it can be written


def test_no_number_is_rounded():
    values = np.array([0.1, -0.0, np.nan, np.inf, 5e-324])
    assert unpack_array(pack_array(values)).tobytes() == values.tobytes()


def test_objects_and_texts_are_no_numbers():
    packed = {**pack_array(np.zeros(2)), "dtype": "|O"}
    with pytest.raises(ValueError, match="numbers are packed"):
        unpack_array(packed)


@pytest.mark.parametrize(
    "damage", [{"shape": [7]}, {"zlib": "AAAA"}, {"zlib": "no base64!"}, {"dtype": "<f4"}]
)
def test_damage_is_an_error(damage):
    with pytest.raises((ValueError, zlib.error)):
        unpack_array({**pack_array(np.arange(3.0)), **damage})
