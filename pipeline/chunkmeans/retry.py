"""Which errors may be gone the next time, and how often that is tried.

Disks raise `OSError`. What speaks to a network has errors of its own, which have no common base;
they are known by their names here, so that nothing of them need be installed.
"""

import errno
from collections.abc import Callable
from time import sleep
from typing import TypeVar

from chunkmeans.errors import ChunkmeansError

PAUSES = (0.1, 0.5)
"""Seconds of rest before the second attempt and before the third, which is the last."""

_STAYS = (
    FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError,
)  # fmt: skip
_STAYS_ERRNO = {
    errno.EINVAL, errno.ENOSYS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS,
    errno.ENAMETOOLONG,
}  # fmt: skip
_NETWORK = {
    "botocore.exceptions.ConnectionError",
    "botocore.exceptions.HTTPClientError",
    "botocore.exceptions.IncompleteReadError",
    "aiohttp.client_exceptions.ClientConnectionError",
    "aiohttp.client_exceptions.ClientPayloadError",
    "google.auth.exceptions.TransportError",
    "azure.core.exceptions.ServiceRequestError",
    "azure.core.exceptions.ServiceResponseError",
}
"""Base classes of connections that fail, break off or take too long."""
_STATUS = ("status", "status_code", "code")
"""What network packages call the number that a server answered with."""
_BUSY = {408, 425, 429}
"""Numbers below 500 that ask to come again: too late, too early, too many."""

Value = TypeVar("Value")


def is_transient(error: BaseException) -> bool:
    """Whether `error` may be gone the next time: input or output that failed for the moment.

    An error of ours counts as what caused it. A missing or forbidden file and a full disk are
    there the next time too.

    >>> is_transient(TimeoutError("the store did not answer"))
    True
    >>> is_transient(FileNotFoundError("a.tif"))
    False
    """
    if isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        return is_transient(error.__cause__)  # fsspec takes any answer of a web server for a no
    if isinstance(error, OSError):
        return not isinstance(error, _STAYS) and error.errno not in _STAYS_ERRNO
    if isinstance(error, ChunkmeansError):
        return error.__cause__ is not None and is_transient(error.__cause__)
    kinds = (f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__)
    if not _NETWORK.isdisjoint(kinds):
        return True
    answer = next((getattr(error, name) for name in _STATUS if hasattr(error, name)), None)
    return isinstance(answer, int) and (500 <= answer < 600 or answer in _BUSY)


def with_retries(act: Callable[[], Value]) -> Value:
    """Return what `act` returns; tried again after a rest where its error may pass."""
    for pause in PAUSES:
        try:
            return act()
        except Exception as error:
            if not is_transient(error):
                raise
            sleep(pause)
    return act()
