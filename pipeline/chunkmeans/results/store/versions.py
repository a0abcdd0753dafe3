"""Versions that results carry, and what is done with those of other versions of chunkmeans.

Three are kept apart. That of the **format** says where things lie and what the keys are called;
``run.json`` and every zarr group of ours has it. That of the **algorithm** says which labels and
means the same pixels get; every image's store has it. That of **reading** says which pixels a file
means; each reader has its own, which is a part of an input's fingerprint (`Image.reader`).
"""

import platform
from importlib.metadata import version
from typing import Any

from chunkmeans.errors import ResultError
from chunkmeans.version import __version__

FORMAT = 1
"""Raised where an older chunkmeans would misread the output; such an output it refuses."""
FORMAT_MINOR = 1
"""Raised where keys or files are added that an older chunkmeans may pass over."""
ALGORITHM_VERSION = 1
"""Raised where the same settings and pixels give other labels or means than before."""


def refuse_newer(found: Any, path: str) -> None:
    """Refuse a format that this chunkmeans does not know yet; every older one is read.

    Raises
    ------
    ResultError
        Naming both formats, and `path`, where it was found.
    """
    if not isinstance(found, int):
        raise ResultError(f"{path}: is damaged: {found!r} is no version of a format")
    if found > FORMAT:
        raise ResultError(
            f"{path}: was written by a newer chunkmeans (format {found}, this one reads up to "
            f"{FORMAT}); upgrade chunkmeans"
        )


def versions_now() -> dict[str, str]:
    """Return the versions of chunkmeans, of the algorithm, and of what results depend on."""
    own = {"algorithm": str(ALGORITHM_VERSION), "chunkmeans": __version__}
    packages = {package: version(package) for package in ("numpy", "numba", "zarr")}
    return {"python": platform.python_version(), **own, **packages}


def algorithm_of(found: Any) -> str:
    """Return which version of the algorithm a mapping of `versions` names; the first named none.

    >>> algorithm_of({"numpy": "2.3.0"}), algorithm_of({"algorithm": "2"})
    ('1', '2')
    """
    return str(found.get("algorithm", "1"))
