"""Where an image lies: paths, URLs and files inside installed packages. No pixels, no formats."""

import re
from collections.abc import Mapping
from importlib import resources
from importlib.util import find_spec
from os.path import abspath, expanduser
from pathlib import Path
from typing import Any

from chunkmeans.errors import SourceError

PACKAGE = "package://"
_VERSIONS = (
    "ETag", "etag", "md5Hash", "content_md5", "mtime", "LastModified", "last_modified", "updated",
    "created", "CRC",
)  # fmt: skip
"""What file systems call the version of a file, or the time of its change."""
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+)(://|::)")


def scheme(path: str) -> str:
    """Return the scheme of a URL, or an empty text for a local path.

    >>> scheme("s3://bucket/a.zarr"), scheme("simplecache::s3://bucket/a.png"), scheme("C:/a.png")
    ('s3', 'simplecache', '')
    """
    found = _SCHEME.match(path) if ":" in path else None
    return found.group(1).lower() if found else ""


def is_url(path: str) -> bool:
    """Whether `path` is opened through fsspec rather than the file system."""
    return scheme(path) not in {"", "file", "package"}


def absolute(path: str) -> str:
    """Return the one form that local paths are compared in; URLs stay as they are.

    >>> absolute("/data/scans/../masks/a.png"), absolute("s3://bucket/a.png")
    ('/data/masks/a.png', 's3://bucket/a.png')
    """
    if is_url(path) or path.startswith(PACKAGE):
        return path
    return abspath(expanduser(local(path)))


def inside(url: str) -> str:
    """Return the path that a URL leads to, without schemes and without the archive it lies in.

    >>> inside("s3://bucket/a.png"), inside("zip://a/b.png::/c.zip"), inside("filecache::s3://a/b")
    ('bucket/a.png', 'a/b.png', 'a/b')
    """
    first, chained, rest = without_query(url).partition("::")
    if "://" not in first:
        return inside(rest) if chained else first
    return first.partition("://")[2]


def without_query(url: str) -> str:
    """Return a URL without what a signed one of the web ends with.

    >>> without_query("https://host/a.tif?Signature=x"), without_query("s3://bucket/a?.tif")
    ('https://host/a.tif', 's3://bucket/a?.tif')
    """
    return re.sub(r"(https?://[^?]*)\?.*", r"\1", url) if "?" in url else url


def placed(url: str, path: str, system: Any) -> str:
    """Return the URL of another `path` on the file `system` that `url` leads to."""
    first, chained, rest = url.partition("::")
    if not chained:
        return str(system.unstrip_protocol(path))
    if "://" not in first:
        return f"{first}::{placed(rest, path, system) if '::' in rest else _on(rest, path)}"
    archive = rest if scheme(rest) else abspath(rest)
    return f"{_on(first, path)}::{archive}"


def _on(url: str, path: str) -> str:
    """Return the URL of `path` under the scheme of `url`."""
    return f"{url.partition('://')[0]}://{path}"


def local(path: str) -> str:
    """Local path of a file that is named by its path, a ``file://`` or a ``package://`` URL.

    Raises
    ------
    SourceError
        If a ``package://`` URL names a package or a file that is not installed.
    """
    if path.startswith(PACKAGE):
        return _inside_package(path)
    return path[len("file://") :] if path.startswith("file://") else path


def _inside_package(url: str) -> str:
    """``package://skimage/data/coins.png`` as a path on this machine; imports no submodule."""
    name, _, rest = url[len(PACKAGE) :].partition("/")
    parts = rest.split("/")
    if not name.isidentifier() or not rest or ".." in parts:
        raise SourceError(f"{url}: not of the form package://<package>/<path of a file in it>")
    if find_spec(name) is None:
        raise SourceError(f"{url}: no Python package {name!r} is installed here")
    found = resources.files(name).joinpath(*parts)
    if not isinstance(found, Path):
        raise SourceError(f"{url}: package {name!r} is not installed as plain files")
    if not found.exists():
        raise SourceError(f"{url}: package {name!r} has no {rest!r} (looked at {found})")
    return str(found)


def entry_fingerprint(entry: Mapping[str, Any]) -> str:
    """Size and whatever a file system gives as a version of one of its files."""
    version = next((f"{name} {entry[name]}" for name in _VERSIONS if entry.get(name)), "")
    return f"{entry.get('size')} bytes, {version}"
