"""Hosts that are reached by SSH: the first gets the scheduler, the others a worker or more each."""

from copy import deepcopy
from typing import Any

from distributed import Security

from chunkmeans.engines.base import Size
from chunkmeans.engines.clusters.deploy import opened
from chunkmeans.engines.clusters.listening import refuse_listening
from chunkmeans.engines.clusters.options import (
    OURS,
    arguments,
    count,
    mapping,
    memory_limit,
    refuse_unfit,
    refuse_unknown,
    size_elsewhere,
)
from chunkmeans.engines.clusters.request import Request
from chunkmeans.engines.clusters.security import (
    LOOPBACK,
    as_options,
    listening,
    refuse_exposed,
    security_of,
)
from chunkmeans.engines.dask.engine import DaskEngine
from chunkmeans.errors import ConfigError

_WORKER = "worker_options"


def open_engine(request: Request) -> DaskEngine:
    """Open an engine on a scheduler and workers that are started by SSH, and end with it.

    Options are arguments of ``distributed.SSHCluster``.
    """
    security = security_of(request, temporary=False)
    options = _options(request, security)
    return opened(
        request,
        options,
        planned=_workers(options),
        scalable=False,
        tunnelled=not request.cluster.insecure,
        advice="see whether the hosts answer, and what Dask's workers say there",
    )


def size(request: Request) -> Size:
    """Return what there would be to work with, as far as the options say it."""
    options = _options(request, None)
    workers, worker = _workers(options), options[_WORKER]
    memory = memory_limit(worker, f"cluster.options.{_WORKER}")
    threads = count(worker.get("nthreads") or 1, f"{_WORKER}.nthreads")
    return size_elsewhere(request, workers, workers * threads, memory)


def script(request: Request) -> str:
    """Return nothing: no batch system is asked."""
    return ""


def _options(request: Request, security: Security | None) -> dict[str, Any]:
    """Return the arguments of ``SSHCluster``: what the config says, and what it leaves open."""
    refuse_unfit(request, "scale", "adapt")
    options = deepcopy(dict(request.cluster.options))
    refuse_unknown(options, arguments(request.load()) - OURS | {"silence_logs"}, request.kind)
    hosts = options.get("hosts")
    if not isinstance(hosts, list) or len(hosts) < 2:
        raise ConfigError(
            "cluster.options.hosts: must list at least two, the scheduler's and a worker's (which "
            "may be the same)"
        )
    refuse_listening(request, options)
    for name in ("scheduler_options", "worker_options"):
        own = mapping(options, name)
        refuse_exposed(request, *listening(own.get("interface"), own.get("host")))
        if not request.cluster.insecure and own.get("dashboard_address") is None:
            port = 8787 if name == "scheduler_options" else 0
            own["dashboard_address"] = f"{LOOPBACK}:{port}"
        if security is not None:
            own |= {"security": as_options(security), "protocol": "tls"}
        options[name] = own
    options["connect_options"] = _in_time(options, request.cluster.wait.timeout)
    return options if security is None else {**options, "security": security}


def _in_time(options: dict[str, Any], seconds: float) -> Any:
    """Return the options of connections, which end where a host says nothing: asyncssh waits."""
    limits = {"connect_timeout": seconds, "login_timeout": seconds}
    if isinstance(options.get("connect_options"), list):  # one of each host
        return [
            limits | mapping({"connect_options": one}, "connect_options")
            for one in options["connect_options"]
        ]
    return limits | mapping(options, "connect_options")


def _workers(options: dict[str, Any]) -> int:
    """Return how many workers all hosts would have."""
    each = options[_WORKER].get("n_workers")
    each = 1 if each is None else count(each, f"{_WORKER}.n_workers")
    return (len(options["hosts"]) - 1) * each
