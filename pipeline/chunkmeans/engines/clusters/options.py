"""Options of a cluster, checked before anything is started."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from chunkmeans.engines.base import Size
from chunkmeans.engines.clusters.request import Request
from chunkmeans.engines.machine import free_memory
from chunkmeans.errors import ConfigError

OURS = {"asynchronous", "loop", "security", "n_workers"}
"""Arguments of Dask's classes that are ours to give."""

_INSTEAD = {"security": "use cluster.security", "n_workers": "use cluster.scale"}


def arguments(*functions: Callable[..., Any]) -> set[str]:
    """Return the names of the arguments that functions or classes take."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {
        name
        for one in functions
        for name, parameter in inspect.signature(one).parameters.items()
        if parameter.kind in named
    } - {"self"}


def takes_any(function: Callable[..., Any]) -> bool:
    """Whether a function or class takes arguments of any name."""
    kinds = [parameter.kind for parameter in inspect.signature(function).parameters.values()]
    return inspect.Parameter.VAR_KEYWORD in kinds


def refuse_unknown(
    options: Mapping[str, Any], known: Iterable[str], kind: str, inside: str = "cluster.options"
) -> None:
    """Refuse an option that is not known, by name and with the nearest that is."""
    known = sorted(known)
    for key in options:
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]}?" if near else "see the arguments of its Dask class"
            hint = _INSTEAD.get(key, hint)
            raise ConfigError(f"{inside}.{key}: kind {kind} does not know it; {hint}")


def refuse_unfit(request: Request, *names: str) -> None:
    """Refuse keys of the section that this kind has no use for."""
    for name in names:
        if getattr(request.cluster, name):
            raise ConfigError(f"cluster.{name}: kind {request.kind} has no use for it")


def count(value: Any, name: str) -> int:
    """Return a count of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"cluster.options.{name}: {value!r} is no count; give at least 1")
    return value


def texts(value: Any, name: str) -> list[Any]:
    """Return a list, empty where it is not given; a text would be cut into its letters."""
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise ConfigError(f"cluster.options.{name}: {value!r} is no list; give a list, [{value!r}]")
    return list(value)


def mapping(options: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a copy of an option that is a mapping; empty where it is not given."""
    value = options.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigError(f"cluster.options.{name}: must be a mapping of keys to values")
    return dict(value)


def memory_limit(options: Mapping[str, Any], inside: str) -> int | None:
    """Return the bytes that an option `memory_limit` of Dask's workers says, if it says them."""
    limit = options.get("memory_limit")
    if limit in (None, "auto", 0) or (isinstance(limit, float) and 0 < limit <= 1):
        return None  # a share of a machine that is not known here
    from dask.utils import parse_bytes  # which engines without Dask do not wait for

    try:
        nbytes = parse_bytes(limit)
    except (TypeError, ValueError, AttributeError):
        nbytes = 0
    if isinstance(limit, bool) or nbytes <= 0:
        raise ConfigError(f"{inside}.memory_limit: {limit!r} is no size; give bytes, such as 8GiB")
    return int(nbytes)


def size_elsewhere(request: Request, workers: int, threads: int, found: int | None) -> Size:
    """Return the size of workers that are not there yet, of which `found` bytes are known.

    What is asked for counts too. Where nobody says it, it is `assumed` that they have what is free
    here.
    """
    told = [nbytes for nbytes in (found, request.memory) if nbytes]
    memory = min(told, default=free_memory())
    return Size(workers, threads, memory, apart=True, assumed=not told)
