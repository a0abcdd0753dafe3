"""File systems behind URLs: how they are opened, for images and for results alike."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from chunkmeans.errors import ConfigError
from chunkmeans.secrets import keep_secret


def filesystem(url: str, storage_options: Mapping[str, Any]) -> tuple[Any, str]:
    """Return the fsspec file system of a URL, and the path in it.

    Its cached listings are dropped first, because other programs write there too.

    Raises
    ------
    ConfigError
        If the URL, or its storage options, are not valid for fsspec, or a package is missing.
    """
    from fsspec.core import url_to_fs  # a run on a disk does not wait for it

    with explained(url, storage_options):
        system, path = url_to_fs(url, **storage_options)
        system.invalidate_cache()
    return system, path


@contextmanager
def explained(url: str, storage_options: Mapping[str, Any]) -> Iterator[None]:
    """Turn errors of fsspec about a URL into a `ConfigError` without secrets of its options."""
    keep_secret(url, storage_options)
    try:
        yield
    except (ImportError, ValueError, TypeError) as error:
        hint = "pip install 'chunkmeans[s3]'" if "s3fs" in str(error) else "see storage_options"
        raise ConfigError(f"{url}: fsspec cannot open this URL: {error}; {hint}") from error
