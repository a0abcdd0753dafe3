"""Dask on this machine: worker processes, or threads of this one, that listen on loopback only."""

import logging
from contextlib import ExitStack
from functools import partial
from math import ceil
from typing import Any

from distributed import Client, LocalCluster, Nanny, Worker
from distributed.deploy.utils import nprocesses_nthreads

from chunkmeans.engines.base import Size
from chunkmeans.engines.clusters.listening import refuse_listening
from chunkmeans.engines.clusters.opening import configured, engine_of, words
from chunkmeans.engines.clusters.options import OURS, arguments, count, refuse_unfit, refuse_unknown
from chunkmeans.engines.clusters.request import Request
from chunkmeans.engines.clusters.security import (
    LOOPBACK,
    dashboard_here,
    security_of,
)
from chunkmeans.engines.dask.engine import DaskEngine
from chunkmeans.engines.machine import cores, free_memory
from chunkmeans.errors import ClusterError, ConfigError

SMALLEST = 384 * 2**20
"""Bytes below which a worker process has no room to work: Python and our libraries take half."""


def open_engine(request: Request) -> DaskEngine:
    """Open an engine on this machine.

    Options are arguments of ``distributed.LocalCluster``; ``processes: false`` makes it one worker
    of threads in this process. Memory is that of this process and the workers together: this
    process gets a worker's share. No more threads are started than there are tasks.
    """
    options = _options(request)
    memory = free_memory() if request.memory is None else request.memory
    processes = bool(options.setdefault("processes", True))
    workers, threads = _layout(options, processes, memory, request.tasks)
    limit = memory // (workers + 1) if processes else memory
    security = security_of(request)
    options = {
        **({} if "interface" in options else {"host": LOOPBACK}),
        "protocol": "tls" if security else "tcp",  # inproc would listen on every address
        "security": security,
        "dashboard_address": dashboard_here(),
        "silence_logs": logging.CRITICAL,  # outcomes say it, to whom it concerns
        "memory_limit": limit,
        **({"preload": ["chunkmeans.engines.worker.preload"]} if processes else {}),
        **options,
        "n_workers": workers,
        "threads_per_worker": threads,
    }
    with ExitStack() as stack:
        stack.enter_context(configured(request))
        try:
            cluster = stack.enter_context(LocalCluster(**options))
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"cluster.options: Dask's LocalCluster refuses them: {error}"
            ) from error
        except (RuntimeError, OSError) as error:
            raise ClusterError(f"no Dask cluster could be started here: {words(error)}") from error
        client = stack.enter_context(Client(cluster, set_as_default=False))
        # A worker that takes too long to come back is given up by Dask and never started again.
        replace = partial(cluster.scale, workers) if processes else None
        return engine_of(
            client,
            stack,
            request,
            memory=limit,
            workers=workers,
            replace=replace,
            foreign=False,
            advice="see whether something on this machine ends them",
        )


def size(request: Request) -> Size:
    """Return what `open_engine` would have to work with; errors as there."""
    options = _options(request)
    processes = bool(options.get("processes", True))
    memory = free_memory() if request.memory is None else request.memory
    workers, threads = _layout(options, processes, memory, None)
    limit = memory // (workers + 1) if processes else memory
    return Size(workers, workers * threads, limit, apart=True)


def script(request: Request) -> str:
    """Return nothing: no batch system is asked."""
    return ""


def _options(request: Request) -> dict[str, Any]:
    """Return the options, checked, with the number of workers among them."""
    refuse_unfit(request, "adapt")
    options = dict(request.cluster.options)
    known = arguments(LocalCluster, Nanny, Worker) - OURS | {"n_workers"}
    refuse_unknown(options, known, request.kind)
    refuse_listening(request, options)
    scale = request.cluster.scale
    if scale is not None:
        if "n_workers" in options:
            raise ConfigError("cluster.scale: clashes with cluster.options.n_workers; give one")
        if not isinstance(scale, int):
            raise ConfigError("cluster.scale: kind local takes a number of workers")
        options["n_workers"] = scale
    return options


def _layout(
    options: dict[str, Any], processes: bool, memory: int, tasks: int | None
) -> tuple[int, int]:
    """Take from `options` how many workers there are and how many threads each has."""
    workers, threads = options.pop("n_workers", None), options.pop("threads_per_worker", None)
    for key, value in (("n_workers", workers), ("threads_per_worker", threads)):
        if value is not None:
            count(value, key)
    if not processes:
        threads = threads or cores()
        return workers or 1, threads if tasks is None else max(1, min(threads, tasks))
    asked, free_threads = workers is not None, threads is None
    if workers is None and threads is None:
        workers, threads = nprocesses_nthreads(cores())
    threads = threads or max(1, cores() // workers)
    workers = workers or max(1, cores() // threads)
    if tasks is not None:
        workers = max(1, min(workers, ceil(tasks / threads)))
    fitting = memory // SMALLEST - 1
    if fitting < (workers if asked else 1):
        raise ConfigError(
            f"memory: {memory / 2**20:.0f} MiB do not carry {workers} worker processes and their "
            f"driver, at {SMALLEST / 2**20:.0f} MiB each; raise `memory`, lower "
            "cluster.options.n_workers, or use cluster.kind: serial"
        )
    if fitting < workers:
        workers = fitting
        if free_threads:  # fewer processes, each with more of the processors
            threads = max(1, cores() // workers)
    return workers, threads
