"""Short for a kind and options that must be refused."""

import pytest
from chunkmeans.errors import ConfigError

from tests.support.engines import open_engine


def assert_refused(kind, options, message, **more):
    """Opening the engine is a `ConfigError` with this message."""
    with pytest.raises(ConfigError, match=message):
        open_engine(kind, options, **more)
