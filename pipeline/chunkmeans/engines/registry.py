"""The words of ``cluster.kind``: a line each, imported when one is asked for.

Another package adds one by an entry point whose name is the word, and whose value is a class: of
the group ``chunkmeans.clusters`` a `ClusterKind`, of the group ``chunkmeans.engines`` any other
`EngineKind`. A word of ours stays ours.
"""

from collections.abc import Callable
from typing import TypeVar

from chunkmeans.config import Cluster
from chunkmeans.engines.base import Engine, Size
from chunkmeans.engines.kind import EngineKind, Request, ignore_message
from chunkmeans.errors import ClusterError, ConfigError
from chunkmeans.seam import Seam
from chunkmeans.secrets import keep_secret, without_secrets

ENGINES = {
    "serial": "chunkmeans.engines.serial:Serial",
    "threads": "chunkmeans.engines.serial:Threads",
}
"""Engines without a cluster."""

CLUSTERS = {
    "local": "chunkmeans.engines.clusters.kinds.local:Local",
    "address": "chunkmeans.engines.clusters.kinds.address:Address",
    "scheduler_file": "chunkmeans.engines.clusters.kinds.address:SchedulerFile",
    "slurm": "chunkmeans.engines.clusters.kinds.jobqueue:Slurm",
    "pbs": "chunkmeans.engines.clusters.kinds.jobqueue:Pbs",
    "sge": "chunkmeans.engines.clusters.kinds.jobqueue:Sge",
    "lsf": "chunkmeans.engines.clusters.kinds.jobqueue:Lsf",
    "htcondor": "chunkmeans.engines.clusters.kinds.jobqueue:HtCondor",
    "oar": "chunkmeans.engines.clusters.kinds.jobqueue:Oar",
    "ssh": "chunkmeans.engines.clusters.kinds.ssh:Ssh",
    "mpi": "chunkmeans.engines.clusters.kinds.mpi:Mpi",
    "kubernetes": "chunkmeans.engines.clusters.kinds.kubernetes:Kubernetes",
    "gateway": "chunkmeans.engines.clusters.kinds.gateway:Gateway",
    "custom": "chunkmeans.engines.clusters.kinds.custom:Custom",
}
"""Kinds of Dask clusters."""

_GROUPS = ("chunkmeans.clusters", "chunkmeans.engines")

KINDS = Seam[EngineKind]("kind", EngineKind, {**ENGINES, **CLUSTERS}, _GROUPS, "cluster.kind")
"""All of them, those of other packages included."""

_Answer = TypeVar("_Answer")


def open_engine(
    cluster: Cluster, *, memory: int | None = None, notify: Callable[[str], object] = ignore_message
) -> Engine:
    """Open the engine that the config's section ``cluster`` asks for; close it after use.

    Parameters
    ----------
    cluster
        The section.
    memory
        Bytes for the run: on this machine for driver and workers together, on a cluster for
        each worker. None: a share of what is free.
    notify
        Called with messages for a user who waits for the start.

    Raises
    ------
    ConfigError
        If the kind or an option does not exist or does not fit, or needs what is not installed.
    ClusterError
        If the machines are not there.
    """
    return _ask(lambda kind: kind.open(), Request(cluster, memory, notify))


def engine_size(
    cluster: Cluster, *, memory: int | None = None, notify: Callable[[str], object] = ignore_message
) -> Size:
    """Return what an engine would have to work with, without starting anything.

    Of a scheduler that runs already its workers are asked. Parameters and errors are those of
    `open_engine`.
    """
    return _ask(lambda kind: kind.size(), Request(cluster, memory, notify))


def job_script(cluster: Cluster, *, memory: int | None = None) -> str:
    """Return the job script, or specification, that a batch system would get; "" without one.

    Nothing is submitted. Parameters and errors are those of `open_engine`.
    """
    return _ask(lambda kind: kind.script(), Request(cluster, memory))


def _ask(question: Callable[[EngineKind], _Answer], request: Request) -> _Answer:
    """Return the answer of the kind that is asked for; no error has a secret of the section."""
    kind = KINDS.load(request.cluster.kind)
    for given in (request.cluster.options, request.cluster.dask_config):
        keep_secret("", given)
    try:
        return question(kind(request))
    except (ConfigError, ClusterError) as error:
        # classes, and servers, repeat what they were given where they refuse it
        text = without_secrets(str(error))
        if text == str(error):
            raise
        raise type(error)(text) from None
