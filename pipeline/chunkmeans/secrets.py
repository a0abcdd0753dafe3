"""What may be written down of configs, URLs and errors."""

import os
import re
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any
from urllib.parse import parse_qs

HIDDEN = "<hidden>"
PASSWORD = (
    "holds a password, which would end up in results and logs; give it in storage_options, or in "
    "the environment"
)
"""What is wrong with a URL that does."""

_USER = re.compile(
    r"(?<=://)[^/@:\s'\"]*:(?!:|\d{1,5}(?:[/?#\s'\"]|$))[^\s'\"]*@"
    r"|(?:(?<=http://)|(?<=https://))[^/@\s'\"]*@"
)
"""User and password of a URL, or a token alone; no port. A secret key of S3 may have slashes."""
_SECRET = re.compile(r"key|secret|token|pass|auth|sas|sig|cred|headers|connection", re.IGNORECASE)
"""Options of a store or a cluster, and parts of a query, whose texts are secrets, however deep."""
_ENVIRONMENT = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_KEY")
_SHORTEST = 6
"""Letters that a secret has at least: fewer would be found in any text."""
_known: set[str] = set()
"""Secrets that `keep_secret` has registered in this process."""
_QUERY = re.compile(r"(?<=://)([^\s'\"?]*)\?[^\s'\"]*=[^\s'\"]*?(?=[:;,.)]*(?:[\s'\"]|$))")


def holds_password(url: str) -> bool:
    """Whether a URL names a user and a password, or a token.

    >>> holds_password("s3://AKIA:a/b+c@bucket/x"), holds_password("http://host:8080/a@b.tif")
    (True, False)
    """
    return _USER.search(url) is not None


def is_secret(name: str) -> bool:
    """Whether what has that name is a secret.

    >>> is_secret("AWS_SECRET_ACCESS_KEY"), is_secret("OMP_NUM_THREADS")
    (True, False)
    """
    return _SECRET.search(name) is not None


def keep_secret(url: str, storage_options: Mapping[str, Any]) -> None:
    """Register what opens a URL, and the environment's keys, for `without_secrets`."""
    _known.update(_secrets_in(storage_options))
    _known.update(_secrets_in(parse_qs(url.partition("?")[2])))
    _known.update(filter(None, (os.environ.get(name) for name in _ENVIRONMENT)))


def _secrets_in(value: Any, secret: bool = False) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _secrets_in(inner, secret or is_secret(str(name)))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _secrets_in(inner, secret)
    elif secret and isinstance(value, str) and len(value) >= _SHORTEST:
        yield value


def without_secrets(text: str) -> str:
    """Return a text in which no URL has a user, a password or a query (of a signed URL).

    What `keep_secret` has registered is hidden too: servers may repeat what they were sent.

    >>> without_secrets("GET 'https://me:pw@host/a.tif?sig=x': 403")
    "GET 'https://<hidden>@host/a.tif?<hidden>': 403"
    """
    for secret in _known:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    if "://" not in text:
        return text
    return _QUERY.sub(rf"\1?{HIDDEN}", _USER.sub(f"{HIDDEN}@", text))


def for_the_record(value: Any) -> Any:
    """Return nested plain values as strict JSON `without_secrets`.

    A number that JSON does not have becomes its name.

    >>> for_the_record(["s3://me:secret@host/a.tif", float("nan"), 1.5])
    ['s3://<hidden>@host/a.tif', 'nan', 1.5]
    """
    if isinstance(value, dict):
        return {str(k): for_the_record(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [for_the_record(v) for v in value]
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    return without_secrets(value) if isinstance(value, str) else value
