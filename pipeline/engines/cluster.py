"""Opens Dask engines: a cluster on this machine, or the scheduler at an address."""

import asyncio
import inspect
import logging
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from difflib import get_close_matches
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from math import ceil
from typing import Any

from distributed import Client, LocalCluster, Nanny, Worker
from distributed.deploy.utils import nprocesses_nthreads

from pipeline.engines.base import Size
from pipeline.engines.dask import DaskEngine
from pipeline.engines.machine import cores, free_memory
from pipeline.engines.settings import Settings
from pipeline.errors import ClusterError, ConfigError

SMALLEST = 384 * 2**20
"""Bytes below which a worker process has no room to work: Python and our libraries take half."""

LOOPBACK = "127.0.0.1"


def open_local(
    options: Mapping[str, Any], *, memory: int | None = None, tasks: int | None = None
) -> DaskEngine:
    """Open an engine on this machine that listens on loopback only.

    Parameters
    ----------
    options
        Arguments of ``distributed.LocalCluster``, and `wait`: seconds to wait for a worker.
        ``processes: false`` makes it one worker of threads in this process.
    memory
        Bytes for this process and the workers together; this process gets a worker's share.
    tasks
        How many tasks there will be; no more threads are started.
    """
    options = dict(options)
    known = _arguments(LocalCluster, Nanny, Worker) - {"asynchronous", "loop"} | {"wait"}
    _refuse_unknown(options, known, "local")
    wait = _seconds(options.pop("wait", 60))
    memory = free_memory() if memory is None else memory
    processes = bool(options.setdefault("processes", True))
    count, threads = _layout(options, processes, memory, tasks)
    limit = memory // (count + 1) if processes else memory
    options = {
        **({} if "interface" in options else {"host": LOOPBACK}),
        "protocol": "tcp",  # inproc would listen on every address
        "dashboard_address": _dashboard_address(),
        "silence_logs": logging.CRITICAL,  # outcomes say it, to whom it concerns
        "memory_limit": limit,
        **({"preload": ["pipeline.engines.workers"]} if processes else {}),
        **options,
        "n_workers": count,
        "threads_per_worker": threads,
    }
    with ExitStack() as stack:
        stack.enter_context(Settings())
        try:
            cluster = stack.enter_context(LocalCluster(**options))
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"cluster.options: Dask's LocalCluster refuses them: {error}"
            ) from error
        except (RuntimeError, OSError) as error:
            raise ClusterError(f"no Dask cluster could be started here: {_root(error)}") from error
        client = stack.enter_context(Client(cluster, set_as_default=False))
        # A worker that takes too long to come back is given up by Dask and never started again.
        replace = partial(cluster.scale, count) if processes else None
        return _engine(client, stack, memory=limit, wait=wait, workers=count, replace=replace)


def size_local(options: Mapping[str, Any], *, memory: int | None = None) -> Size:
    """Return what `open_local` would have to work with; errors as there."""
    options = dict(options)
    processes = bool(options.get("processes", True))
    memory = free_memory() if memory is None else memory
    count, threads = _layout(options, processes, memory, None)
    limit = memory // (count + 1) if processes else memory
    return Size(count, count * threads, limit, apart=True)


def size_address(options: Mapping[str, Any], *, memory: int | None = None) -> Size:
    """Return what the workers at an address have to work with; errors as of `open_address`."""
    with open_address(options, memory=memory) as engine:
        return engine.size


def open_address(
    options: Mapping[str, Any], *, memory: int | None = None, tasks: int | None = None
) -> DaskEngine:
    """Open an engine on the workers of a running scheduler, which goes on after the run.

    Parameters
    ----------
    options
        `address` of the scheduler, arguments of ``distributed.Client``, and `wait`: seconds to
        wait for a first worker.
    memory
        Bytes a worker may use; None: what the workers were started with.
    tasks
        Not used: the workers are there.
    """
    options = dict(options)
    _refuse_unknown(options, _arguments(Client) - {"asynchronous", "loop"} | {"wait"}, "address")
    address = options.pop("address", None)
    if not isinstance(address, str) or not address:
        raise ConfigError("cluster.options.address: missing; give the scheduler's, tcp://host:8786")
    wait = _seconds(options.pop("wait", 300))
    with ExitStack() as stack:
        stack.enter_context(Settings())
        try:
            client = stack.enter_context(Client(address, set_as_default=False, **options))
        except (OSError, ValueError, MemoryError) as error:
            raise ClusterError(f"no Dask scheduler answers at {address}: {_why(error)}") from error
        return _engine(client, stack, memory=memory, wait=wait, workers=1, foreign=True)


def _engine(
    client: Client,
    stack: ExitStack,
    *,
    memory: int | None,
    wait: float,
    workers: int,
    replace: Callable[[], object] | None = None,
    foreign: bool = False,
) -> DaskEngine:
    """Return the engine of `client`, which closes what is on `stack`."""
    engine = DaskEngine(
        client,
        memory=0,
        wait=wait,
        workers=workers,
        replace=replace,
        dashboard=client.dashboard_link if find_spec("bokeh") else "",
    )
    if foreign:
        _same_version(client)
    limits = [w["memory_limit"] for w in client.scheduler_info()["workers"].values()]
    smallest = min((limit for limit in limits if limit), default=free_memory())
    engine.memory = smallest if memory is None else min(memory, smallest)
    engine.on_close = stack.pop_all().close
    return engine


def _layout(
    options: dict[str, Any], processes: bool, memory: int, tasks: int | None
) -> tuple[int, int]:
    """Take from `options` how many workers there are and how many threads each has."""
    count, threads = options.pop("n_workers", None), options.pop("threads_per_worker", None)
    for key, value in (("n_workers", count), ("threads_per_worker", threads)):
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ConfigError(f"cluster.options.{key}: {value!r} is no count; give at least 1")
    if not processes:
        threads = threads or cores()
        return count or 1, threads if tasks is None else max(1, min(threads, tasks))
    asked, free_threads = count is not None, threads is None
    if count is None and threads is None:
        count, threads = nprocesses_nthreads(cores())
    threads = threads or max(1, cores() // count)
    count = count or max(1, cores() // threads)
    if tasks is not None:
        count = max(1, min(count, ceil(tasks / threads)))
    fitting = memory // SMALLEST - 1
    if fitting < (count if asked else 1):
        raise ConfigError(
            f"memory: {memory / 2**20:.0f} MiB do not carry {count} worker processes and their "
            f"driver, at {SMALLEST / 2**20:.0f} MiB each; raise `memory`, lower "
            "cluster.options.n_workers, or use cluster.kind: serial"
        )
    if fitting < count:
        count = fitting
        if free_threads:  # fewer processes, each with more of the processors
            threads = max(1, cores() // count)
    return count, threads


def _dashboard_address() -> str:
    """Return where the dashboard listens: Dask's usual port if it is free, on loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, 8787))
        except OSError:
            return f"{LOOPBACK}:0"
    return f"{LOOPBACK}:8787"


def _same_version(client: Client) -> None:
    """Refuse workers that run another chunkmeans: they would compute something else."""
    here = _version()
    try:
        there = client.run(_version)
    except Exception as error:  # the worker's own words: No module named 'pipeline'
        raise ClusterError(
            f"the workers cannot run chunkmeans: {error}; install chunkmeans {here} there"
        ) from error
    for worker, version in there.items():
        if version != here:
            raise ClusterError(
                f"worker {worker} has chunkmeans {version}, this is {here}; install the same"
            )


def _version() -> str:
    try:
        return metadata.version("chunkmeans")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _arguments(*classes: Callable[..., Any]) -> set[str]:
    """Return the names of the arguments that `classes` take."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {
        name
        for one in classes
        for name, parameter in inspect.signature(one).parameters.items()
        if parameter.kind in named
    }


def _refuse_unknown(options: Mapping[str, Any], known: set[str], kind: str) -> None:
    for key in options:
        if key not in known:
            near = get_close_matches(str(key), sorted(known), n=1)
            hint = f"did you mean {near[0]}?" if near else "see the arguments of its Dask class"
            raise ConfigError(f"cluster.options.{key}: kind {kind} does not know it; {hint}")


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ConfigError(f"cluster.options.wait: {value!r} is no number of seconds")
    return float(value)


def _why(error: BaseException) -> str:
    """Return why nobody answers, in words: refused, unknown, or silent until the time was over."""
    root = _first(error)
    if isinstance(root, ConnectionRefusedError):
        return "connection refused; is the scheduler running, and is this its port?"
    if isinstance(root, socket.gaierror):
        return f"no machine of that name is known here ({root.strerror})"
    if isinstance(root, asyncio.CancelledError | TimeoutError):
        return f"time-out ({error}); is the address right, and no firewall between?"
    if isinstance(root, MemoryError):  # Dask took its first bytes for a length
        return "something else than a Dask scheduler listens there; is this its port?"
    return _root(error)


def _root(error: BaseException) -> str:
    """Return the words of what first went wrong."""
    first = _first(error)
    return str(first) or type(first).__name__


def _first(error: BaseException) -> BaseException:
    """Return what first went wrong."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error
