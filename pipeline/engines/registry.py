"""The kinds of engines: a line each, imported when one is asked for."""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, cast

from pipeline.engines.base import Engine
from pipeline.errors import ConfigError

KINDS = {
    "local": "pipeline.engines.cluster:open_local",
    "serial": "pipeline.engines.serial:open_serial",
    "address": "pipeline.engines.cluster:open_address",
}
"""Where the function lies that opens an engine, by the word of ``cluster.kind``."""


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
    if kind not in KINDS:
        near = get_close_matches(str(kind), KINDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(KINDS)}"
        raise ConfigError(f"cluster.kind: there is no kind {kind!r}; {hint}")
    module, function = KINDS[kind].split(":")
    opened = getattr(import_module(module), function)(options or {}, memory=memory, tasks=tasks)
    return cast("Engine", opened)
