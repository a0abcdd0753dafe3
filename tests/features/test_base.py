"""A chain of features: what goes in is checked link by link, what comes out is described."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from chunkmeans.errors import ConfigError
from chunkmeans.features.base import Feature, FeatureChain
from chunkmeans.image.info import ImageInfo


@dataclass(frozen=True)
class Differences(Feature):
    name: ClassVar[str] = "differences"

    def channels(self, channels):
        return channels - 1

    def transform(self, values, valid):
        return np.diff(values, axis=-1)

    def check(self, channels):
        if channels < 2:
            raise ConfigError(f"features.use: differences need 2 channels, found {channels}")


def described(steps, channels):
    info = ImageInfo("yx", (4, 5), channels, np.dtype("u1"), (4, 5))
    return FeatureChain((Differences(),) * steps).describe(info).channels


def test_each_link_is_asked_of_the_channels_that_go_into_it():
    assert [described(steps, 3) for steps in (0, 1, 2)] == [3, 2, 1]


@pytest.mark.parametrize(("steps", "channels"), [(1, 1), (2, 2), (3, 3)])
def test_a_link_that_gets_too_few_channels_refuses_them(steps, channels):
    with pytest.raises(ConfigError, match="need 2 channels, found 1"):
        described(steps, channels)
