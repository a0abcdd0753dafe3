"""Kind ``ssh``: the first host gets the scheduler, each of the others a worker or more."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from distributed import Security

from chunkmeans.config.models import Certificates
from chunkmeans.engines.clusters.dask_class import DaskClass
from chunkmeans.engines.clusters.kind import ClusterKind
from chunkmeans.engines.clusters.security import LOOPBACK, arguments_of, refuse_exposed
from chunkmeans.engines.options import count, mapping, memory_limit
from chunkmeans.errors import ConfigError

_WORKER = "worker_options"
_INSIDE = {"scheduler_options": 8787, _WORKER: 0}
"""Options of processes, and the usual port of their dashboards."""


class Ssh(ClusterKind):
    """Scheduler and workers are started by SSH, and end with the engine.

    Options are arguments of ``distributed.SSHCluster``.
    """

    dask = DaskClass("distributed", "SSHCluster", "chunkmeans[hpc]", needs="asyncssh")
    unused = ("scale", "adapt")
    known = frozenset({"silence_logs"})
    dashboard_on_loopback = True
    any_option = False
    scaled_later = False
    temporary_certificates = False

    def refuse_exposed(self, options: Mapping[str, Any]) -> None:
        """Refuse options by which scheduler or workers would listen on a network without TLS."""
        hosts = options.get("hosts")
        if not isinstance(hosts, list) or len(hosts) < 2:
            raise ConfigError(
                "cluster.options.hosts: must list at least two, the scheduler's and a worker's "
                "(which may be the same)"
            )
        for name in _INSIDE:
            refuse_exposed(self.section, options[name].get("interface"), options[name].get("host"))

    def arguments(self, options: dict[str, Any], security: Security | None) -> dict[str, Any]:
        """Return the options with dashboards on loopback, certificates and time-outs."""
        options, files = deepcopy(options), self.section.security
        for name, port in _INSIDE.items():
            inside = mapping(options, name)
            if not self.section.insecure and inside.get("dashboard_address") is None:
                inside["dashboard_address"] = f"{LOOPBACK}:{port}"
            if isinstance(files, Certificates):
                paths = arguments_of(files.ca, files.cert, files.key)
                inside |= {"security": paths, "protocol": "tls"}
            options[name] = inside
        options["connect_options"] = self._limited(options)
        return options if security is None else {**options, "security": security}

    def planned(self, given: Mapping[str, Any]) -> int:
        """Return how many workers all hosts would have."""
        each = mapping(given, _WORKER).get("n_workers")
        each = 1 if each is None else count(each, f"cluster.options.{_WORKER}.n_workers")
        return (len(given["hosts"]) - 1) * each

    def each_worker(self, given: Mapping[str, Any]) -> tuple[int, int | None]:
        """Return threads and bytes by the options of workers."""
        worker, inside = mapping(given, _WORKER), f"cluster.options.{_WORKER}"
        threads = count(worker.get("nthreads") or 1, f"{inside}.nthreads")
        return threads, memory_limit(worker, inside)

    def advice(self, given: Mapping[str, Any]) -> str:
        """Return what to do where no worker comes."""
        return "see whether the hosts answer, and the logs of Dask's workers there"

    def _limited(self, options: Mapping[str, Any]) -> Any:
        """Return the options of connections, with time-outs: asyncssh has none of its own."""
        seconds = self.section.wait.timeout
        limits = {"connect_timeout": seconds, "login_timeout": seconds}
        given = options.get("connect_options")
        if isinstance(given, list):  # one of each host
            return [limits | mapping({"connect_options": one}, "connect_options") for one in given]
        return limits | mapping(options, "connect_options")
