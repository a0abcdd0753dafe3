"""The one feature of our own is a feature like any other."""

import pytest
from chunkmeans.features.scale import ChannelScale
from chunkmeans.testing import FeatureTests


class TestScale(FeatureTests):
    @pytest.fixture(params=["none", "standard", "range"])
    def feature(self, request):
        return ChannelScale(request.param)


class TestWeights(FeatureTests):
    channels = (3,)

    @pytest.fixture
    def feature(self):
        return ChannelScale((1.0, 0.25, 3.0))
