"""Kind ``mpi``: ``mpiexec -n 4 chunkmeans run CONFIG --cluster mpi``.

Every rank runs the program. Rank 0 becomes the scheduler and the ranks from 2 on the workers, and
do nothing else; rank 1 goes on.
"""

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Any

import dask
from distributed import Client, Security

from chunkmeans.engines.clusters.dask_class import DaskClass
from chunkmeans.engines.clusters.kind import ClusterKind
from chunkmeans.engines.clusters.opening import first_message
from chunkmeans.engines.clusters.security import LOOPBACK, security_of
from chunkmeans.engines.dask.connection import Workers
from chunkmeans.engines.dask.engine import DaskEngine
from chunkmeans.engines.machine import cores, free_memory
from chunkmeans.engines.options import count, mapping, memory_limit
from chunkmeans.errors import ConfigError

LEAST_RANKS = 3
"""A scheduler, this program, and a worker."""


class Mpi(ClusterKind):
    """Opens an engine on the workers of the other ranks; on those `open` does not return.

    Options are arguments of ``dask_mpi.initialize``.
    """

    dask = DaskClass("dask_mpi", "initialize", "chunkmeans[hpc]", needs="mpi4py")
    unused = ("scale", "adapt")
    any_option = False
    refused = frozenset({"comm", "exit"})
    dashboard_on_loopback = True

    def open_on(self, stack: ExitStack) -> DaskEngine:
        """Make this rank what its number says."""
        given, initialize = self.given(planned=True), self.load()
        ranks = _ranks()
        if ranks.size < LEAST_RANKS:
            raise ConfigError(
                f"cluster.kind: mpi needs at least {LEAST_RANKS} ranks, a scheduler, this program "
                f"and a worker, and there is {ranks.size}; start it by mpiexec -n 4 chunkmeans "
                "run ..."
            )
        # the certificates of the first rank on all
        security = ranks.bcast(security_of(self.section), root=0)
        stack.enter_context(dask.config.set(_settings_of(security)))
        if not initialize(**given, exit=False):
            raise SystemExit(0)
        client = stack.enter_context(Client(set_as_default=False))
        stack.callback(_end_ranks, client)
        return self.engine(client, stack, Workers(ranks.size - 2, memory=self.request.memory))

    def arguments(self, options: dict[str, Any], security: Security | None) -> dict[str, Any]:
        """Return the options with dashboards on loopback, and nannies."""
        if not self.section.insecure:
            worker = mapping(options, "worker_options")
            for inside, port in ((options, 8787), (worker, 0)):
                if inside.get("dashboard_address") is None:  # where Dask would take the interface's
                    inside["dashboard_address"] = f"{LOOPBACK}:{port}"
            options["worker_options"] = worker
        if self.section.security is not None:
            options["protocol"] = "tls"
        # a nanny replaces a worker that dies; without one, its rank ends and MPI ends all others
        return {"worker_class": "distributed.Nanny", "nthreads": 1, **options}

    def each_worker(self, given: Mapping[str, Any]) -> tuple[int, int | None]:
        """Return threads and bytes by the options; by default all share this machine."""
        worker = {"nthreads": 1, **given, **mapping(given, "worker_options")}
        memory = memory_limit(worker, "cluster.options")
        if memory is None and self.request.memory is None:
            memory = free_memory() // (self.planned(given) + 1)
        threads = worker["nthreads"]  # null: Dask takes all processors
        return cores() if threads is None else count(threads, "cluster.options.nthreads"), memory


def _end_ranks(client: Client) -> None:
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
            f"cluster.kind: mpi finds no MPI library: {first_message(error).splitlines()[0]}; load "
            "the module of your site, or pip install mpich"
        ) from error
    return MPI.COMM_WORLD


def _settings_of(security: Security | None) -> dict[str, Any]:
    """Return Dask's settings of certificates."""
    if security is None:
        return {}
    roles = ("client", "scheduler", "worker")
    names = {f"{role}.{part}": f"tls_{role}_{part}" for role in roles for part in ("cert", "key")}
    names["ca-file"] = "tls_ca_file"
    files = {f"distributed.comm.tls.{key}": getattr(security, name) for key, name in names.items()}
    return {"distributed.comm.require-encryption": True, **files}
