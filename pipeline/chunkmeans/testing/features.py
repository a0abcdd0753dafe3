"""What every feature keeps to, as tests to inherit."""

import pickle
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chunkmeans.errors import ConfigError
from chunkmeans.features.base import Feature, FeatureChain
from chunkmeans.features.validity import Sampled, sample
from chunkmeans.image.grid import Box, split
from chunkmeans.image.info import ImageInfo, Pixels
from chunkmeans.kmeans.counting.collect import Collector
from chunkmeans.kmeans.samples import canonical

_SHAPES = [(1, 1), (9, 14), (4, 6, 7)]
"""Pixels along each axis: one pixel, a picture, a volume."""
_EDGES = [1, 3, 100]
"""Of the boxes that an image is cut into."""


class FeatureTests:
    """Inherit, and give the fixture `feature`; `channels` and `dtypes` say what it is made for."""

    channels: tuple[int, ...] = (1, 3)
    """Numbers of channels of the images that it is tried on."""
    dtypes: tuple[str, ...] = ("uint8", "int16", "float32")
    """Their types."""

    @pytest.fixture
    def feature(self) -> Feature:
        """Return the feature under test; to be overridden."""
        raise NotImplementedError("a class of tests gives the fixture feature")

    @pytest.fixture(params=_SHAPES, ids=str)
    def shape(self, request: pytest.FixtureRequest) -> tuple[int, ...]:
        """Return the shape of the image, without channels."""
        shape: tuple[int, ...] = request.param
        return shape

    def images(self, shape: tuple[int, ...]) -> list[NDArray[Any]]:
        """Return images of that shape, (*shape, c), of every number of channels and type."""
        rng = np.random.default_rng(7)
        return [
            rng.integers(0, 120, (*shape, channels)).astype(dtype)
            for channels in self.channels
            for dtype in self.dtypes
        ]

    def test_it_has_a_name_and_is_a_value(self, feature: Feature) -> None:
        """Two of the same parameters are one, here and in another process."""
        assert feature.name == feature.name.strip().lower()
        again = pickle.loads(pickle.dumps(feature))
        assert again == feature
        assert hash(again) == hash(feature)
        assert repr(again) == repr(feature)

    def test_it_declares_its_channels_type_and_halo(
        self, feature: Feature, shape: tuple[int, ...]
    ) -> None:
        """What comes out is what was said, of the shape that went in."""
        halo = feature.halo("tzyx"[-len(shape) :])
        assert len(halo) == len(shape)
        assert all(isinstance(h, int) and h >= 0 for h in halo)
        for values in self.images(shape):
            found = feature.transform(values, None)
            assert found.shape == (*shape, feature.channels(values.shape[-1]))
            assert found.dtype == feature.dtype(values.dtype)
            canonical(found.dtype)  # a type that can be segmented

    def test_it_takes_the_channels_that_it_is_tried_on(self, feature: Feature) -> None:
        """`check` refuses none of `channels`; what it does refuse is a `ConfigError`."""
        for channels in self.channels:
            feature.check(channels)
            assert feature.channels(channels) >= 1
        for channels in set(range(1, 6)) - set(self.channels):
            with suppress(ConfigError):
                feature.check(channels)

    def test_it_is_pure(self, feature: Feature, shape: tuple[int, ...]) -> None:
        """The same numbers again, of an array that it must not write to, in any order in memory."""
        for values in self.images(shape):
            values.flags.writeable = False
            first = feature.transform(values, None)
            np.testing.assert_array_equal(feature.transform(values, None), first)
            np.testing.assert_array_equal(feature.transform(np.asfortranarray(values), None), first)

    @pytest.mark.parametrize("edge", _EDGES)
    @pytest.mark.parametrize("masked", [False, True], ids=["all valid", "some valid"])
    def test_any_chunking_gives_the_same_bits(
        self, feature: Feature, shape: tuple[int, ...], edge: int, masked: bool
    ) -> None:
        """Boxes that are read with the halo hold what the whole image holds there."""
        whole = Box.whole(shape)
        for values in self.images(shape):
            valid = np.random.default_rng(3).random(shape) < 0.8 if masked else None
            expected = _placed(_sampled(feature, values, valid, whole))
            for box in split(whole, (edge,) * len(shape)):
                found = _placed(_sampled(feature, values, valid, box))
                np.testing.assert_array_equal(found, expected[box.slices])

    def test_weights_are_one_finite_number_per_channel(self, feature: Feature) -> None:
        """Of whatever the samples are; or there are none."""
        for values in self.images((9, 14)):
            found = _sampled(feature, values, None, Box.whole((9, 14)))
            collector = Collector(found.values.dtype, found.values.shape[-1])
            collector.add(found.values, 0)
            weights = feature.weights(collector.result())
            if weights is not None:
                assert np.shape(weights) == (found.values.shape[-1],)
                assert (np.isfinite(weights) & (weights >= 0)).all()


def _sampled(feature: Feature, values: NDArray[Any], valid: Any, box: Box) -> Sampled:
    """Return the samples of a box as a task makes them."""
    shape = values.shape[:-1]
    info = ImageInfo("tzyx"[-len(shape) :], shape, values.shape[-1], values.dtype, shape)
    features = FeatureChain((feature,))
    wide = features.widened(box, info)
    pixels = Pixels(values[wide.slices], None if valid is None else valid[wide.slices])
    dtype = canonical(features.describe(info).dtype)
    return sample(pixels, (), None, dtype, features, box.within(wide.start))


def _placed(found: Sampled) -> NDArray[Any]:
    """Return samples where they lie, (*shape, c) as float64; NaN where none is."""
    placed = np.full((*found.shape, found.values.shape[-1]), np.nan)
    placed[np.ones(found.shape, bool) if found.valid is None else found.valid] = found.values
    return placed
