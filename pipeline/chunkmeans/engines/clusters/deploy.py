"""A cluster that a class of Dask starts: open it, scale it, wait for it, and what it would be.

The modules of kinds that need more (`jobs`, `ssh`, `kubernetes`) prepare the options and come here;
`custom` and ``gateway`` hand them over as they are.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

from distributed import Client, SpecCluster, Status
from distributed.deploy.spec import ProcessInterface

from chunkmeans.engines.base import Size
from chunkmeans.engines.clusters.opening import configured, engine_of, no_answer, words
from chunkmeans.engines.clusters.options import (
    OURS,
    arguments,
    refuse_unfit,
    refuse_unknown,
    size_elsewhere,
    takes_any,
)
from chunkmeans.engines.clusters.request import Request
from chunkmeans.engines.clusters.scaling import refuse_wrong_scaling
from chunkmeans.engines.clusters.timeout import TooLate, within
from chunkmeans.engines.dask.connection import ADVICE, PATIENCE
from chunkmeans.engines.dask.engine import DaskEngine
from chunkmeans.errors import ClusterError, ConfigError


def open_engine(request: Request) -> DaskEngine:
    """Open an engine on a cluster whose class takes the options as they are."""
    refuse_unfit(request, "security")
    return opened(request, checked(request), planned=planned(request))


def size(request: Request) -> Size:
    """Return what there would be to work with, as far as the section says it."""
    checked(request)
    workers = planned(request)
    return size_elsewhere(request, workers, workers, None)


def script(request: Request) -> str:
    """Return nothing: what such a class hands to whom is its own."""
    checked(request)
    return ""


def checked(request: Request) -> dict[str, Any]:
    """Return the options, none of which the class does not know."""
    cls, options = request.load(), dict(request.cluster.options)
    if not takes_any(cls):
        refuse_unknown(options, arguments(cls) - OURS, request.kind)
    refuse_wrong_scaling(request)
    return options


def planned(request: Request) -> int:
    """Return how many workers there will be at the most, as far as the section says it."""
    cluster = request.cluster
    told = cluster.adapt.get("maximum") if cluster.adapt is not None else cluster.scale
    return told if isinstance(told, int) else cluster.wait.workers or 1


def first(request: Request) -> Any:
    """Return how many workers to ask for at once, a number or what the class's `scale` takes."""
    return request.cluster.scale or request.cluster.wait.workers or 1


def opened(
    request: Request,
    options: Mapping[str, Any],
    *,
    planned: int,
    advice: str = ADVICE,
    scalable: bool = True,
    tunnelled: bool = False,
) -> DaskEngine:
    """Open an engine on a new cluster.

    Parameters
    ----------
    request
        What is asked.
    options
        What the class is called with.
    planned
        How many workers there will be.
    advice
        What to do where no worker comes.
    scalable
        Whether the number of workers is to be set; False: the options say it.
    tunnelled
        Whether the options have the dashboard listen on loopback of the scheduler's machine.

    Raises
    ------
    ConfigError
        If the class refuses the options.
    ClusterError
        If there is no cluster, or no worker in time.
    """
    section = request.cluster
    with ExitStack() as stack:
        stack.enter_context(configured(request))
        cluster = _started(request, options)
        if not hasattr(cluster, "scheduler_address"):
            raise ConfigError(
                f"cluster.options.class: what {request.kind} starts is no cluster of Dask, but "
                f"{type(cluster).__name__}; give a class that starts one"
            )
        stack.callback(_close, cluster)
        try:
            client = stack.enter_context(Client(cluster, set_as_default=False))
        except OSError as error:
            raise no_answer(cluster.scheduler_address, error) from error
        replace = None
        if scalable:
            amount = first(request)
            _scale(request, cluster, amount)
            # What Dask gave up, such as a job that was cancelled, it starts again only if asked.
            if section.adapt is None and isinstance(cluster, SpecCluster):
                replace = partial(_call, cluster.scale, amount)
        engine = engine_of(
            client,
            stack,
            request,
            planned=planned,
            memory=request.memory,
            replace=replace,
            tunnelled=tunnelled,
            advice=advice,
        )
    if section.adapt is not None:
        _adapt(request, cluster, engine)
    return engine


def _started(request: Request, options: Mapping[str, Any]) -> Any:
    """Return a new cluster, if there is one in the time to wait."""
    cls = request.load()
    name = getattr(cls, "__name__", request.kind)
    patience = max(request.cluster.wait.timeout, PATIENCE)
    try:
        return within(patience, partial(cls, **options), _close)
    except TooLate as error:
        raise ClusterError(
            f"{request.kind}: no cluster was started within {patience:g} seconds; see whether what "
            "starts it answers, and its address; cluster.wait.timeout says how long to wait"
        ) from error
    except (TypeError, ValueError) as error:
        raise ConfigError(f"cluster.options: Dask's {name} refuses them: {error}") from error
    except Exception as error:  # each system has errors of its own
        raise ClusterError(
            f"{request.kind}: no cluster could be started: {words(error)}"
        ) from error


def _close(cluster: Any) -> None:
    """Let a cluster go.

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


def _scale(request: Request, cluster: Any, amount: int | Mapping[str, Any]) -> None:
    """Ask for workers, and notice if asking fails: no `sbatch`, a queue that does not exist."""
    try:
        if isinstance(cluster, SpecCluster):
            cluster.sync(_asked, cluster, amount)
        else:
            _call(cluster.scale, amount)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"cluster.scale: Dask refuses it: {error}") from error
    except Exception as error:
        raise ClusterError(
            f"{request.kind}: no worker could be asked for: {words(error)}"
        ) from error


async def _asked(cluster: SpecCluster, amount: int | Mapping[str, Any]) -> None:
    """Scale, and wait until every worker is asked for; what goes wrong is raised, not logged."""
    log = logging.getLogger("tornado.application")
    before, log.disabled = log.disabled, True
    try:
        _call(cluster.scale, amount)
        await cluster._correct_state()
    finally:
        await asyncio.sleep(0)
        log.disabled = before


def _adapt(request: Request, cluster: Any, engine: DaskEngine) -> None:
    """Let the number of workers follow the work, now that there are some: none would be kept."""
    try:
        cluster.adapt(**(request.cluster.adapt or {}))
    except (TypeError, ValueError) as error:
        engine.close()
        raise ConfigError(f"cluster.adapt: Dask refuses it: {error}") from error
    except Exception as error:
        engine.close()
        raise ClusterError(f"{request.kind}: cannot adapt: {words(error)}") from error


def _call(scale: Callable[..., Any], amount: int | Mapping[str, Any]) -> None:
    if isinstance(amount, Mapping):
        scale(**amount)
    else:
        scale(amount)
