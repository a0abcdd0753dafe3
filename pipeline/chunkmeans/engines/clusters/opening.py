"""Opening a Dask cluster step by step: start, scale, adapt, close, error messages."""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from typing import Any, TypeVar

import psutil
from distributed import Client, SpecCluster, Status
from distributed.deploy.spec import ProcessInterface

from chunkmeans.engines.clusters.security import LOOPBACK
from chunkmeans.errors import ClusterError, ConfigError

_Value = TypeVar("_Value")


def start_cluster(kind: str, cls: Any, arguments: Mapping[str, Any], seconds: float) -> Any:
    """Return a new cluster, if its class makes one within so many seconds.

    Raises
    ------
    ConfigError
        If the class refuses its arguments, or makes no cluster.
    ClusterError
        If there is no cluster in time.
    """
    late = (
        f"{kind}: no cluster was started within {seconds:g} seconds; see whether what starts it "
        "answers, and its address; cluster.wait.timeout says how long to wait"
    )
    refused = f"cluster.options: Dask's {getattr(cls, '__name__', kind)} refuses them"
    with errors_of_dask(refused, f"{kind}: no cluster could be started"):
        cluster = call_within(seconds, partial(cls, **arguments), late, close_cluster)
    if not hasattr(cluster, "scheduler_address"):
        raise ConfigError(
            f"cluster.options.class: what {kind} starts is no cluster of Dask, but "
            f"{type(cluster).__name__}; give a class that starts one"
        )
    return cluster


def call_within(
    seconds: float,
    call: Callable[[], _Value],
    late: str,
    undo: Callable[[_Value], object] = lambda _: None,
) -> _Value:
    """Return what a call returns, in a thread that nothing waits for if it never does.

    Classes of Dask ask services (a gateway, an API server, an sshd) that may take a connection and
    never send a byte.

    Parameters
    ----------
    seconds
        How long to wait.
    call
        What to call.
    late
        The message of the error where that is over.
    undo
        Called with what is returned after that time.

    Raises
    ------
    ClusterError
        If it did not return in time. Its own errors are raised too.
    """
    future: Future[_Value] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    def discard(done: "Future[_Value]") -> None:
        if done.exception() is None:
            with suppress(Exception):
                undo(done.result())

    threading.Thread(target=run, name="chunkmeans-start", daemon=True).start()
    try:
        wait([future], seconds)
        if not future.done():
            raise ClusterError(late)
    except BaseException:  # too late, or Ctrl-C
        future.add_done_callback(discard)
        raise
    return future.result()


def close_cluster(cluster: Any) -> None:
    """Close a cluster.

    Dask insists that every worker it made is closed or has failed, and dask-jobqueue notes neither
    of its jobs: one that was lost, or could not even be submitted, would be an error here. The
    files of temporary certificates it would leave to the garbage collector, which may never come.
    """
    if isinstance(cluster, SpecCluster):
        for worker in list(cluster._created):
            if isinstance(worker, ProcessInterface):
                worker.status = Status.failed
    try:
        cluster.close()
    finally:
        for name in ("_job_ca_file", "_job_cert", "_job_key"):
            if hasattr(cluster, name):
                getattr(cluster, name).close()


def scale_cluster(kind: str, cluster: Any, amount: int | Mapping[str, Any]) -> None:
    """Ask for workers, and notice if asking fails: no `sbatch`, a queue that does not exist."""
    failed = f"{kind}: no worker could be asked for"
    with errors_of_dask("cluster.scale: Dask refuses it", failed):
        if isinstance(cluster, SpecCluster):
            cluster.sync(_scale_and_wait, cluster, amount)
        else:
            call_scale(cluster.scale, amount)


async def _scale_and_wait(cluster: SpecCluster, amount: int | Mapping[str, Any]) -> None:
    """Scale, and wait until every worker is asked for; what goes wrong is raised, not logged."""
    log = logging.getLogger("tornado.application")
    before, log.disabled = log.disabled, True
    try:
        call_scale(cluster.scale, amount)
        await cluster._correct_state()
    finally:
        await asyncio.sleep(0)
        log.disabled = before


def call_scale(scale: Callable[..., Any], amount: int | Mapping[str, Any]) -> None:
    """Call a cluster's `scale`, with a number or with what it takes by name."""
    if isinstance(amount, Mapping):
        scale(**amount)
    else:
        scale(amount)


def dashboard_of(client: Client, on_loopback: bool) -> str:
    """Return where the dashboard is, and how to look at it if that is on another machine."""
    port = client.scheduler_info()["services"].get("dashboard")
    if find_spec("bokeh") is None:
        return ""
    if not on_loopback or port is None:
        return str(client.dashboard_link or "")
    page = f"http://{LOOPBACK}:{port}/status"
    host = str(client.scheduler.address).rpartition("://")[2].rpartition(":")[0].strip("[]")
    here = {a.address for addresses in psutil.net_if_addrs().values() for a in addresses}
    if host in here:
        return page
    return f"{page} of {host}: ssh -L {port}:{LOOPBACK}:{port} {host}"


def no_answer(address: str, error: BaseException) -> ClusterError:
    """Return why no scheduler answers: refused, unknown, or silent until the time was over."""
    root = _root_cause(error)
    if isinstance(root, ConnectionRefusedError):
        why = "connection refused; is the scheduler running, and is this its port?"
    elif isinstance(root, socket.gaierror):
        why = f"no machine of that name is known here ({root.strerror})"
    elif isinstance(root, asyncio.CancelledError | TimeoutError):
        why = f"time-out ({error}); is the address right, and no firewall between?"
    elif isinstance(root, MemoryError):  # Dask took its first bytes for a length
        why = "something else than a Dask scheduler listens there; is this its port?"
    else:
        why = first_message(error)
    return ClusterError(f"no Dask scheduler answers at {address}: {why}")


@contextmanager
def errors_of_dask(refused: str, failed: str) -> Iterator[None]:
    """Raise what a class of Dask raises in here as an error of ours, after these words.

    A wrong type or value was `refused`, by the config's key; anything else `failed`.
    """
    try:
        yield
    except ClusterError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{refused}: {error}") from error
    except Exception as error:  # each system has errors of its own
        raise ClusterError(f"{failed}: {first_message(error)}") from error


def first_message(error: BaseException) -> str:
    """Return the message of the first cause of an error, or its name."""
    root = _root_cause(error)
    return str(root) or type(root).__name__


def _root_cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error
