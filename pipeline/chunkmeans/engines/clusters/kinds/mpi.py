"""Ranks of MPI: ``mpiexec -n 4 chunkmeans run CONFIG --cluster mpi``.

Every rank runs the program. Rank 0 becomes the scheduler and the ranks from 2 on the workers, and
do nothing else; rank 1 goes on.
"""

from contextlib import ExitStack, suppress
from typing import Any

import dask
from distributed import Client, Security

from chunkmeans.engines.base import Size
from chunkmeans.engines.clusters.listening import refuse_listening
from chunkmeans.engines.clusters.opening import configured, engine_of, words
from chunkmeans.engines.clusters.options import (
    OURS,
    arguments,
    count,
    mapping,
    memory_limit,
    refuse_unfit,
    refuse_unknown,
)
from chunkmeans.engines.clusters.request import Request
from chunkmeans.engines.clusters.security import (
    LOOPBACK,
    listening,
    refuse_exposed,
    security_of,
)
from chunkmeans.engines.dask.engine import DaskEngine
from chunkmeans.engines.machine import cores, free_memory
from chunkmeans.errors import ConfigError

LEAST = 3
"""Ranks: a scheduler, this program, and a worker."""


def open_engine(request: Request) -> DaskEngine:
    """Open an engine on the workers of the other ranks; on those this does not return.

    Options are arguments of ``dask_mpi.initialize``.
    """
    options = _options(request)
    initialize = request.load()
    ranks = _ranks()
    if ranks.size < LEAST:
        raise ConfigError(
            f"cluster.kind: mpi needs at least {LEAST} ranks, a scheduler, this program and a "
            f"worker, and there is {ranks.size}; start it by mpiexec -n 4 chunkmeans run ..."
        )
    with ExitStack() as stack:
        stack.enter_context(configured(request))
        stack.enter_context(dask.config.set(_certified(request, ranks)))
        if not initialize(**options, exit=False):
            raise SystemExit(0)
        client = stack.enter_context(Client(set_as_default=False))
        stack.callback(_end, client)
        workers = ranks.size - 2
        return engine_of(
            client,
            stack,
            request,
            workers=workers,
            memory=request.memory,
            tunnelled=not request.cluster.insecure,
        )


def size(request: Request) -> Size:
    """Return what there would be to work with: as many workers as to wait for, on this machine."""
    options = _options(request)
    workers = request.cluster.wait.workers or 1
    worker = {**options, **mapping(options, "worker_options")}
    limit = memory_limit(worker, "cluster.options")
    told = [nbytes for nbytes in (request.memory, limit) if nbytes]
    memory = min(told, default=free_memory() // (workers + 1))
    threads = worker["nthreads"]  # null: Dask takes all processors
    threads = cores() if threads is None else count(threads, "nthreads")
    return Size(workers, workers * threads, memory, apart=True)


def script(request: Request) -> str:
    """Return nothing: the program itself is what a batch system starts."""
    return ""


def _end(client: Client) -> None:
    """End the other ranks."""
    if client.status == "running":
        with suppress(OSError):
            client.shutdown()


def _ranks() -> Any:
    """Return the ranks that this program was started on."""
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # the latter where there is no MPI to load
        raise ConfigError(
            f"cluster.kind: mpi finds no MPI library: {words(error).splitlines()[0]}; load the "
            "module of your site, or pip install mpich"
        ) from error
    return MPI.COMM_WORLD


def _options(request: Request) -> dict[str, Any]:
    """Return the arguments of ``initialize``: what the config says, and what it leaves open."""
    refuse_unfit(request, "scale", "adapt")
    options = dict(request.cluster.options)
    refuse_unknown(options, arguments(request.load()) - OURS - {"comm", "exit"}, request.kind)
    refuse_exposed(request, *listening(options.get("interface")))
    refuse_listening(request, options)
    if not request.cluster.insecure:
        worker = mapping(options, "worker_options")
        for own, port in ((options, 8787), (worker, 0)):
            if own.get("dashboard_address") is None:  # where Dask would take the interface's
                own["dashboard_address"] = f"{LOOPBACK}:{port}"
        options["worker_options"] = worker
    if request.cluster.security is not None:
        options["protocol"] = "tls"
    # a nanny replaces a worker that dies; without one, its rank ends and MPI ends all others
    return {"worker_class": "distributed.Nanny", "nthreads": 1, **options}


def _certified(request: Request, ranks: Any) -> dict[str, Any]:
    """Return Dask's settings of the certificates, the first rank's on all."""
    made: Security | None = ranks.bcast(security_of(request), root=0)
    if made is None:
        return {}
    tls = "distributed.comm.tls"
    found: dict[str, Any] = {
        "distributed.comm.require-encryption": True,
        f"{tls}.ca-file": made.tls_ca_file,
    }
    for role in ("client", "scheduler", "worker"):
        for part in ("cert", "key"):
            found[f"{tls}.{role}.{part}"] = getattr(made, f"tls_{role}_{part}")
    return found
