"""How many workers are asked for, checked before anything is started: `scale` and `adapt`.

Dask itself looks at most of this when it follows it, which is after workers have come, or never.
"""

from collections.abc import Mapping
from math import inf
from typing import Any

from distributed.deploy.adaptive import Adaptive

from chunkmeans.config import Cluster
from chunkmeans.engines.options import arguments, count, nbytes, refuse_unknown, takes_any
from chunkmeans.errors import ConfigError

_COUNTS = ("n", "jobs", "cores", "minimum", "maximum")


def refuse_wrong_scaling(section: Cluster, cls: Any) -> None:
    """Refuse keys that the class does not know, and what is no number of workers."""
    for name, least in (("scale", 1), ("adapt", 0)):
        asked, method = getattr(section, name), getattr(cls, name, None)
        if not isinstance(asked, Mapping):
            continue
        inside = f"cluster.{name}"
        known = _known(method)
        if known is not None:
            refuse_unknown(asked, known, section.kind, inside)
        found = {key: _number(f"{inside}.{key}", key, asked[key], least) for key in asked}
        for key, number in found.items():
            above = key.replace("minimum", "maximum")
            most = found.get(above)
            if key.startswith("minimum") and None not in (number, most) and number > most:
                raise ConfigError(f"{inside}.{key}: {asked[key]} is above {above}, {asked[above]}")


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
        return nbytes(value, name, least)
    if what not in _COUNTS:
        return None
    return value if what == "maximum" and value == inf else count(value, name, least)
