"""What is sent to workers, as bytes that are no text.

A worker without chunkmeans cannot read a task, and Dask then writes the first 10,000 bytes of it to
the worker's log: storage options and their keys would stand there in clear. This hides them from a
log and from its readers; it is no encryption, which needs TLS.
"""

import zlib
from typing import Any

from distributed.protocol import pickle

LARGE = 256 * 1024
"""Bytes from which on nothing is compressed, which takes too long for a look-up table."""

_INVERTED = bytes(255 - byte for byte in range(256))
"""zlib leaves as it is what it cannot make smaller, such as a key among means; inverted, no byte
of ASCII is one of ASCII."""


def serialize(thing: Any) -> bytes:
    """Return `thing` pickled as Dask does, so that functions of a notebook go by value."""
    pickled = pickle.dumps(thing)
    small = len(pickled) <= LARGE
    body = zlib.compress(pickled, 1) if small else pickled
    return bytes([small]) + body.translate(_INVERTED)


def deserialize(sent: bytes) -> Any:
    """Return what was serialized."""
    body = sent[1:].translate(_INVERTED)
    return pickle.loads(zlib.decompress(body) if sent[0] else body)
