"""Options of the section ``cluster``: each is refused by its key before anything is started."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from chunkmeans.errors import ConfigError

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


def count(value: Any, key: str, least: int = 1) -> int:
    """Return a count, which is at least `least`; `key` is named where it is none."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{key}: {value!r} is no count; give at least {least}")
    return value


def nbytes(value: Any, key: str, least: int = 1) -> int:
    """Return a number of bytes, which may be a text such as 8GiB."""
    from dask.utils import parse_bytes  # which engines without Dask do not wait for

    try:
        found = -1 if isinstance(value, bool) else int(parse_bytes(value))
    except (TypeError, ValueError, AttributeError):
        found = -1
    if found < least:
        raise ConfigError(f"{key}: {value!r} is no size; give bytes, such as 8GiB")
    return found


def texts(value: Any, key: str) -> list[Any]:
    """Return a list, empty where it is not given; a text would be cut into its letters."""
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{key}: {value!r} is no list; give a list, [{value!r}]")
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
    return nbytes(limit, f"{inside}.memory_limit")
