"""Which pixels count, against the oracle, and in what form they reach the algorithm."""

import numpy as np
import pytest
from chunkmeans.errors import ConfigError
from chunkmeans.features.validity import Sampled, common, is_nodata, sample
from chunkmeans.image.info import Pixels
from chunkmeans.kmeans.samples import canonical
from hypothesis import given
from hypothesis import strategies as st

from tests.support import oracle, strategies

EVERY = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64",
         "float16", "float32", "float64")  # fmt: skip
NAN = float("nan")


def sampled(values, nodata=(), *, valid=None, mask=None):
    """Samples of decoded pixels (*shape, c)."""
    return sample(Pixels(values, valid), nodata, mask, canonical(values.dtype))


def where(found):
    """Where pixels count, whole where nothing is said."""
    return np.ones(found.shape, bool) if found.valid is None else found.valid


class TestAgainstTheOracle:
    @given(strategies.images(dtypes=(*strategies.DTYPES, "float16")))
    def test_nodata_and_numbers_that_are_not_finite(self, image):
        found = sampled(image.values, image.nodata)
        valid = oracle.valid(image.values, image.nodata)
        assert np.array_equal(where(found), valid)
        assert found.values.tolist() == image.values[valid].tolist()
        assert found.invalid == (~valid).sum()

    @given(strategies.images(ndims=(2,)), st.integers(0, 2**32 - 1))
    def test_what_the_file_and_a_mask_say(self, image, seed):
        rng = np.random.default_rng(seed)
        alpha, mask = (rng.integers(0, 2, image.shape).astype(bool) for _ in "ab")
        for said in ((alpha, None), (None, mask), (alpha, mask)):
            found = sampled(image.values, image.nodata, valid=said[0], mask=said[1])
            both = np.logical_and.reduce([s for s in said if s is not None])
            valid = oracle.valid(image.values, image.nodata, both)
            assert np.array_equal(where(found), valid)
            assert found.values.tolist() == image.values[valid].tolist()


class TestForm:
    @given(strategies.images(dtypes=EVERY))
    def test_samples_are_contiguous_and_canonical_and_exact(self, image):
        for values in (image.values, np.asfortranarray(image.values), image.values[::-1]):
            found = sampled(values, image.nodata)
            assert found.values.flags.c_contiguous
            assert found.values.dtype == canonical(values.dtype)
            assert found.values.shape == (len(found.values), image.channels)
            assert found.shape == image.shape
            valid = oracle.valid(values, image.nodata)
            assert found.values.tolist() == values[valid].tolist()

    def test_a_wider_type_may_be_asked_for(self):
        values = np.array([[0, 255]], np.uint8)[..., None]
        found = sample(Pixels(values), (), None, np.dtype(np.int16))
        assert (found.values.dtype, found.values.tolist()) == (np.dtype(np.int16), [[0], [255]])

    def test_nothing_is_kept_where_every_pixel_counts(self):
        values = np.zeros((2, 3, 1), np.uint8)
        everywhere = np.ones((2, 3), bool)
        assert sampled(values, (9,), valid=everywhere, mask=everywhere).valid is None
        assert sampled(values).invalid == 0

    def test_an_image_without_a_valid_pixel_has_no_samples(self):
        found = sampled(np.zeros((2, 3, 4), np.float32), (0,))
        assert found.values.shape == (0, 4)
        assert found.invalid == 6

    def test_what_was_said_to_be_valid_stays_as_it_was(self):
        valid, mask = np.ones((1, 2), bool), np.array([[True, False]])
        sampled(np.array([[[0], [1]]], np.uint8), (0,), valid=valid, mask=mask)
        assert valid.all()
        assert mask.tolist() == [[True, False]]

    def test_bytes_are_those_of_samples_and_of_where_they_are(self):
        values = np.zeros((5, 3), np.float32)
        assert Sampled(values, None, (5,)).nbytes == 60
        assert Sampled(values, np.ones(9, bool), (9,)).nbytes == 69


class TestNodata:
    @pytest.mark.parametrize(
        ("dtype", "nodata", "pixels", "expected"),
        [
            # One number: all channels.
            ("u1", (0,), [[0, 0], [0, 1]], [True, False]),
            # One per channel: any channel, its own number.
            ("u1", (0, 9), [[0, 5], [5, 9], [9, 0]], [True, True, False]),
            # NaN: any channel; in a list too; never of integers.
            ("f4", (NAN,), [[NAN, 1], [1, 1]], [True, False]),
            ("f4", (NAN, 5), [[NAN, 1], [1, 5], [5, NAN]], [True, True, False]),
            ("u1", (NAN,), [[0, 0]], [False]),
            ("u1", (NAN, 5), [[0, 5], [0, 0]], [True, False]),
            # What no pixel can hold marks none.
            ("u1", (-9999,), [[0, 0], [241, 241]], [False, False]),
            ("u1", (256,), [[0, 0]], [False]),
            ("u1", (0.5,), [[0, 0]], [False]),
            ("i2", (float("inf"),), [[32767, 32767]], [False]),
            ("f4", (1e300,), [[1, 1]], [False]),
            # A whole number written as a float.
            ("i2", (-32768.0,), [[-32768, -32768]], [True]),
            # Integers beyond the whole numbers of float64.
            ("u8", (2**64 - 1,), [[2**64 - 1] * 2, [2**64 - 2] * 2], [True, False]),
            ("i8", (2**53 + 1,), [[2**53 + 1] * 2, [2**53] * 2], [True, False]),
            # Rounded as the writer of the file did.
            ("f4", (0.1,), [[0.1, 0.1]], [True]),
            ("f4", (-3.4028234663852886e38,), [[-3.4028234663852886e38] * 2], [True]),
            ("f4", (-3.40282e38,), [[-3.4028234663852886e38] * 2], [False]),
            # Both zeros are zero.
            ("f8", (0,), [[-0.0, 0.0]], [True]),
        ],
    )
    def test_which_pixels_it_marks(self, dtype, nodata, pixels, expected):
        assert is_nodata(np.array(pixels, dtype), nodata).tolist() == expected

    @given(strategies.images(non_finite=False))
    def test_it_agrees_with_the_oracle_on_finite_pixels(self, image):
        if image.nodata:
            valid = oracle.valid(image.values, image.nodata)
            assert np.array_equal(is_nodata(image.values, image.nodata), ~valid)


class TestCommon:
    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            (["u1"], "uint8"),
            (["u1", "u2"], "uint16"),
            (["u1", "i1"], "int16"),
            (["u2", "i2"], "int64"),
            (["u4", "i8"], "int64"),
            (["u8", "u4"], "uint64"),
            (["u2", "f2"], "float32"),
            (["u4", "f4"], "float64"),
            (["f4", "f8"], "float64"),
            (["u1", "u2", "f4"], "float32"),
        ],
    )
    def test_a_type_that_holds_all(self, names, expected):
        for order in (names, names[::-1]):
            assert common([np.dtype(n) for n in order]) == np.dtype(expected)

    @given(st.lists(st.sampled_from(EVERY), min_size=1, max_size=3))
    def test_every_number_stays_what_it_is(self, names):
        dtypes = [np.dtype(n) for n in names]
        try:
            found = common(dtypes)
        except ConfigError:
            return
        for dtype in dtypes:
            limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
            extremes = np.array([limits.min, limits.max, 1], dtype)
            assert extremes.astype(found).tolist() == extremes.tolist()

    @pytest.mark.parametrize(
        "names", [["u8", "i8"], ["i8", "f4"], ["f8", "u8"], ["u8", "i1", "u1"]]
    )
    def test_types_that_no_type_holds_are_refused_by_name(self, names):
        with pytest.raises(ConfigError, match="no type of 64 bits holds both exactly") as error:
            common([np.dtype(n) for n in names])
        assert all(str(np.dtype(n)) in str(error.value) for n in names)
