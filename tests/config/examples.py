"""The shortest config, and how to get one or its error."""

import pytest
from chunkmeans.config import make_config
from chunkmeans.errors import ConfigError

LEAST = """\
images:
  path: scans/
kmeans:
  k: 4
results:
  path: out
"""


def made(images=None, kmeans=None, results=None, **sections):
    """Make a config of the three needed keys and those of a test."""
    return make_config(
        images={"path": "a.tif", **(images or {})},
        kmeans={"k": 4, **(kmeans or {})},
        results={"path": "out", **(results or {})},
        **sections,
    )


def message(call, *args, **kwargs):
    with pytest.raises(ConfigError) as caught:
        call(*args, **kwargs)
    assert caught.value.exit_code == 2
    return str(caught.value)
