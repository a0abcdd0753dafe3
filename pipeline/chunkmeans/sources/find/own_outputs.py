"""Which folders are outputs of earlier runs, so that no run takes results for its inputs."""

import json
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence

from chunkmeans.retry import is_transient

RUN_RECORD = "run.json"
_BESIDE = frozenset({"catalog.csv", "images", "model.zarr"})
"""Names that a run leaves beside its record; one of them is in every output."""
_KEYS = frozenset({"fingerprint", "settings", "versions"})
"""Keys of a record, in each of its versions."""


def looks_like_results(names: Collection[str]) -> bool:
    """Whether a folder that holds `names` may be an output; its record decides."""
    return RUN_RECORD in names and not _BESIDE.isdisjoint(names)


def is_record(content: bytes | Exception) -> bool:
    """Whether a ``run.json`` is ours: other programs write such a file too.

    One that cannot be read, for the reason given in its place, is not. An error that may be gone
    the next time is raised.
    """
    if isinstance(content, Exception):
        if is_transient(content):
            raise content
        return False
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.keys() >= _KEYS


def outside_results(
    paths: Iterable[str], outputs: Callable[[Sequence[str]], Container[str]]
) -> list[str]:
    """Return what a glob found that lies below no output.

    Parameters
    ----------
    paths
        Seen from the folder where the glob begins; this folder may be an output too.
    outputs
        Which of some folders, seen from there, are outputs; called once, with each folder once.
    """
    paths = list(paths)
    found = outputs(sorted({folder for path in paths for folder in _above(path)}))
    return [path for path in paths if not any(folder in found for folder in _above(path))]


def _above(path: str) -> Iterator[str]:
    """Yield the folders that a path lies in, the empty one first."""
    parts = path.split("/")[:-1]
    yield from ("/".join(parts[:n]) for n in range(len(parts) + 1))
