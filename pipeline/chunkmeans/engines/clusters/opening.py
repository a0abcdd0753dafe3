"""What all ways to open an engine on Dask share: settings, a client, and words for what fails."""

import asyncio
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import Any

import dask
import psutil
from distributed import Client

from chunkmeans.engines.clusters.request import Request
from chunkmeans.engines.clusters.security import LOOPBACK
from chunkmeans.engines.dask.connection import ADVICE
from chunkmeans.engines.dask.engine import DaskEngine
from chunkmeans.engines.dask.same_code import refuse_others
from chunkmeans.engines.dask.settings import Settings
from chunkmeans.engines.machine import free_memory
from chunkmeans.errors import ClusterError, ConfigError


@contextmanager
def configured(request: Request) -> Iterator[None]:
    """Let Dask's settings hold that are ours, and those that the config asks for."""
    refuse_flat_settings(request.cluster.dask_config)
    with Settings(), dask.config.set(request.cluster.dask_config):
        yield


def refuse_flat_settings(asked: Mapping[str, Any], above: str = "") -> None:
    """Refuse a value in place of a whole section of Dask's settings, which would be lost."""
    for key, value in asked.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping):
            refuse_flat_settings(value, f"{name}.")
        elif isinstance(dask.config.get(name, None), Mapping):
            raise ConfigError(
                f"cluster.dask_config.{name}: is a section of Dask's settings, found {value!r}; "
                "give its keys"
            )


def engine_of(
    client: Client,
    stack: ExitStack,
    request: Request,
    *,
    workers: int = 1,
    planned: int = 0,
    memory: int | None = None,
    replace: Callable[[], object] | None = None,
    foreign: bool = True,
    tunnelled: bool = False,
    advice: str = ADVICE,
) -> DaskEngine:
    """Return the engine of `client`, which closes what is on `stack`.

    Parameters
    ----------
    client, stack, request
        A client of the scheduler; what was opened for it; what was asked.
    workers
        With how many to begin, unless the config says so.
    planned
        How many workers there will be, for the plan; at least those that are there count.
    memory
        Bytes a worker may use; None: what it was started with.
    replace
        Starts workers for those that were given up.
    foreign
        Whether workers may have another chunkmeans than this process.
    tunnelled
        Whether the dashboard listens on loopback of the scheduler's machine, whatever its address.
    advice
        What to do where there is no worker.
    """
    wait = request.cluster.wait
    engine = DaskEngine(
        client,
        memory=0,
        wait=wait.timeout,
        workers=wait.workers or workers,
        planned=planned,
        replace=replace,
        dashboard=_dashboard(client, tunnelled) if find_spec("bokeh") else "",
        advice=advice,
    )
    if foreign:
        refuse_others(client, wait.timeout, request.say)
    limits = [w["memory_limit"] for w in client.scheduler_info()["workers"].values()]
    smallest = min((limit for limit in limits if limit), default=free_memory())
    engine.memory = smallest if memory is None else min(memory, smallest)
    engine.on_close = stack.pop_all().close
    return engine


def _dashboard(client: Client, tunnelled: bool) -> str:
    """Return where the dashboard is, and how to look at it if that is on another machine."""
    port = client.scheduler_info()["services"].get("dashboard")
    if not tunnelled or port is None:
        return str(client.dashboard_link or "")
    page = f"http://{LOOPBACK}:{port}/status"
    host = str(client.scheduler.address).rpartition("://")[2].rpartition(":")[0].strip("[]")
    here = {a.address for addresses in psutil.net_if_addrs().values() for a in addresses}
    if host in here:
        return page
    return f"{page} of {host}: ssh -L {port}:{LOOPBACK}:{port} {host}"


def no_answer(address: str, error: BaseException) -> ClusterError:
    """Return why nobody answers, in words: refused, unknown, or silent until the time was over."""
    root = first_cause(error)
    if isinstance(root, ConnectionRefusedError):
        why = "connection refused; is the scheduler running, and is this its port?"
    elif isinstance(root, socket.gaierror):
        why = f"no machine of that name is known here ({root.strerror})"
    elif isinstance(root, asyncio.CancelledError | TimeoutError):
        why = f"time-out ({error}); is the address right, and no firewall between?"
    elif isinstance(root, MemoryError):  # Dask took its first bytes for a length
        why = "something else than a Dask scheduler listens there; is this its port?"
    else:
        why = words(error)
    return ClusterError(f"no Dask scheduler answers at {address}: {why}")


def words(error: BaseException) -> str:
    """Return the words of what first went wrong."""
    first = first_cause(error)
    return str(first) or type(first).__name__


def first_cause(error: BaseException) -> BaseException:
    """Return what first went wrong."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error
