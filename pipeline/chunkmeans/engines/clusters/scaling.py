"""How many workers are asked for, checked before anything is started: `scale` and `adapt`.

Dask itself looks at most of this when it follows it, which is after workers have come, or never.
"""

from collections.abc import Mapping
from math import inf
from typing import Any

from dask.utils import parse_bytes
from distributed.deploy.adaptive import Adaptive

from chunkmeans.engines.clusters.options import arguments, refuse_unknown, takes_any
from chunkmeans.engines.clusters.request import Request
from chunkmeans.errors import ConfigError

_COUNTS = ("n", "jobs", "cores", "minimum", "maximum")


def refuse_wrong_scaling(request: Request) -> None:
    """Refuse keys that the class does not know, and what is no number of workers."""
    cls, cluster = request.load(), request.cluster
    if isinstance(cluster.scale, Mapping):
        _check(request, "cluster.scale", cluster.scale, getattr(cls, "scale", None), least=1)
    if cluster.adapt is not None:
        _check(request, "cluster.adapt", cluster.adapt, getattr(cls, "adapt", None), least=0)


def _check(request: Request, name: str, asked: Mapping[str, Any], method: Any, least: int) -> None:
    known = _known(method)
    if known is not None:
        refuse_unknown(asked, known, request.kind, name)
    found = {key: _number(f"{name}.{key}", key, value, least) for key, value in asked.items()}
    for key, number in found.items():
        most = found.get(key.replace("minimum", "maximum"))
        if key.startswith("minimum") and None not in (number, most) and number > most:
            raise ConfigError(
                f"{name}.{key}: {asked[key]} is above {key.replace('minimum', 'maximum')}, "
                f"{asked[key.replace('minimum', 'maximum')]}"
            )


def _known(method: Any) -> set[str] | None:
    """Return the names that a method takes; None: any."""
    if method is None:
        return None
    if not takes_any(method):
        return arguments(method)
    if method.__name__ != "adapt":
        return None
    bounds = {
        f"{end}{what}" for end in ("minimum", "maximum") for what in ("", "_cores", "_memory")
    }
    return arguments(method, Adaptive) | bounds


def _number(name: str, key: str, value: Any, least: int) -> Any:
    """Return what a key says as a number; None if it says nothing, or is no number of ours."""
    end, _, what = key.rpartition("_")
    if value is None or (end and end not in ("minimum", "maximum")):
        return None
    least = 1 if "maximum" in key else least
    if what == "memory":
        try:
            nbytes = parse_bytes(value)
        except (TypeError, ValueError, AttributeError):
            nbytes = -1
        if isinstance(value, bool) or nbytes < least:
            raise ConfigError(f"{name}: {value!r} is no size; give bytes, such as 64GiB")
        return nbytes
    if what in _COUNTS:
        endless = what == "maximum" and value == inf
        if not endless and (not isinstance(value, int) or isinstance(value, bool) or value < least):
            raise ConfigError(f"{name}: {value!r} is no count; give at least {least}")
        return value
    return None
