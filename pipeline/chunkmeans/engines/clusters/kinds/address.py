"""A Dask scheduler that runs already, by its address or by the file that it wrote."""

import json
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import dask
from dask.utils import parse_timedelta
from distributed import Client
from distributed.security import Security

from chunkmeans.engines.base import Size
from chunkmeans.engines.clusters.opening import configured, engine_of, no_answer
from chunkmeans.engines.clusters.options import OURS, arguments, refuse_unfit, refuse_unknown
from chunkmeans.engines.clusters.request import Request
from chunkmeans.engines.clusters.security import security_of
from chunkmeans.engines.dask.connection import greet
from chunkmeans.engines.dask.engine import DaskEngine
from chunkmeans.errors import ClusterError, ConfigError


def open_engine(request: Request) -> DaskEngine:
    """Open an engine on the workers of a running scheduler, which goes on after the run.

    Options are those of ``distributed.Client``: `address`, or the `scheduler_file` that
    ``dask scheduler --scheduler-file`` writes. Memory is what a worker may use; None: what the
    workers were started with.
    """
    options = _options(request)
    with ExitStack() as stack:
        stack.enter_context(configured(request))
        if request.kind == "scheduler_file":
            address = _address_in(request, Path(options.pop("scheduler_file")))
        else:
            address = options.pop("address")
        security = security_of(request, temporary=False)
        scheme = address.partition("://")[0]
        if security is not None and scheme not in ("tls", "wss"):
            raise ConfigError(
                f"cluster.security: {address} is not encrypted; give tls://..., or leave "
                "cluster.security out"
            )
        patience = parse_timedelta(
            options.get("timeout", dask.config.get("distributed.comm.timeouts.connect")), "s"
        )
        try:
            greet(address, patience, security or Security())
            client = stack.enter_context(
                Client(address, set_as_default=False, security=security, **options)
            )
        except (OSError, ValueError, MemoryError, TypeError, RuntimeError) as error:
            raise no_answer(address, error) from error
        return engine_of(client, stack, request, memory=request.memory)


def size(request: Request) -> Size:
    """Return what the workers have to work with; they are asked. Errors as of `open_engine`."""
    with open_engine(request) as engine:
        return engine.size


def script(request: Request) -> str:
    """Return nothing: no batch system is asked."""
    return ""


def _options(request: Request) -> dict[str, Any]:
    """Return the options, checked."""
    refuse_unfit(request, "scale", "adapt")
    options = dict(request.cluster.options)
    wanted, other = "address", "scheduler_file"
    if request.kind == "scheduler_file":
        wanted, other = other, wanted
    refuse_unknown(options, arguments(Client) - OURS - {other}, request.kind)
    if not isinstance(options.get(wanted), str) or not options[wanted]:
        example = {"address": "tcp://host:8786", "scheduler_file": "scheduler.json"}[wanted]
        raise ConfigError(f"cluster.options.{wanted}: missing; give the scheduler's, {example}")
    return options


def _address_in(request: Request, file: Path) -> str:
    """Return the address that a scheduler wrote, which may be about to."""
    since, patience = monotonic(), request.cluster.wait.timeout
    if not file.is_file():
        if not file.parent.is_dir():
            raise ConfigError(
                f"{file}: there is no folder {file.parent} in which a scheduler could write it; "
                "give the path that dask scheduler --scheduler-file got"
            )
        request.say(f"waiting for a scheduler to write {file}, at most {patience:g} seconds")
    while not file.is_file():
        if monotonic() - since > patience:
            raise ClusterError(
                f"{file}: no scheduler has written it within {patience:g} seconds; start one by "
                f"dask scheduler --scheduler-file {file}"
            )
        sleep(0.1)
    try:
        address = json.loads(file.read_text())["address"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{file}: is not what dask scheduler --scheduler-file writes: {error}"
        ) from error
    return str(address)
