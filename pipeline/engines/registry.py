"""The kinds of engines: a line each, imported when one is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any, cast

from pipeline.engines.base import Engine, Size
from pipeline.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Kind:
    """Where the two functions of a kind of engines lie, imported when it is asked for."""

    module: str
    open: str
    """``(options, *, memory, tasks) -> Engine``."""
    size: str
    """``(options, *, memory) -> Size``, without starting anything."""

    def function(self, name: str) -> Any:
        """Import one of the two."""
        return getattr(import_module(self.module), name)


KINDS = {
    "local": Kind("pipeline.engines.cluster", "open_local", "size_local"),
    "serial": Kind("pipeline.engines.serial", "open_serial", "size_serial"),
    "threads": Kind("pipeline.engines.serial", "open_threads", "size_threads"),
    "address": Kind("pipeline.engines.cluster", "open_address", "size_address"),
}
"""By the word of ``cluster.kind``."""


def open_engine(
    kind: str,
    options: Mapping[str, Any] | None = None,
    *,
    memory: int | None = None,
    tasks: int | None = None,
) -> Engine:
    """Open the engine that the config's section ``cluster`` asks for; close it after use.

    Parameters
    ----------
    kind
        One of `KINDS`.
    options
        What that kind takes: for local, arguments of ``distributed.LocalCluster``; for serial,
        `threads`; for address, `address` and arguments of ``distributed.Client``.
    memory
        Bytes for the run: on this machine for driver and workers together, on a cluster for
        each worker. None: a share of what is free.
    tasks
        How many tasks there will be, if that is known: no more workers are started.

    Raises
    ------
    ConfigError
        If the kind or an option does not exist or does not fit.
    ClusterError
        If the machines are not there.
    """
    found = _kind(kind)
    return cast("Engine", found.function(found.open)(options or {}, memory=memory, tasks=tasks))


def engine_size(
    kind: str, options: Mapping[str, Any] | None = None, *, memory: int | None = None
) -> Size:
    """Return what an engine would have to work with, without starting anything.

    Of a scheduler that runs already its workers are asked. Parameters and errors are those of
    `open_engine`.
    """
    found = _kind(kind)
    return cast("Size", found.function(found.size)(options or {}, memory=memory))


def _kind(kind: str) -> Kind:
    if kind not in KINDS:
        near = get_close_matches(str(kind), KINDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(KINDS)}"
        raise ConfigError(f"cluster.kind: there is no kind {kind!r}; {hint}")
    return KINDS[kind]
