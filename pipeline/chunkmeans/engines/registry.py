"""The kinds of engines: a line each, imported when one is asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib import import_module
from typing import Any, cast

from chunkmeans.config import Cluster
from chunkmeans.engines.base import Engine, Size
from chunkmeans.engines.clusters.request import DaskClass, Request
from chunkmeans.errors import ClusterError, ConfigError
from chunkmeans.secrets import keep_secret, without_secrets


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of engines."""

    module: str
    """Of this package; has `open_engine`, `size` and `script`."""
    dask: DaskClass | None = None
    """What of Dask starts its cluster."""

    def function(self, name: str) -> Any:
        """Import one of the three."""
        return getattr(import_module(f"chunkmeans.engines.{self.module}"), name)


def _jobs(name: str) -> Kind:
    return Kind("clusters.kinds.jobqueue", DaskClass("dask_jobqueue", name, "hpc"))


KINDS = {
    "local": Kind("clusters.kinds.local"),
    "threads": Kind("serial"),
    "serial": Kind("serial"),
    "address": Kind("clusters.kinds.address"),
    "scheduler_file": Kind("clusters.kinds.address"),
    "slurm": _jobs("SLURMCluster"),
    "pbs": _jobs("PBSCluster"),
    "sge": _jobs("SGECluster"),
    "lsf": _jobs("LSFCluster"),
    "htcondor": _jobs("HTCondorCluster"),
    "oar": _jobs("OARCluster"),
    "ssh": Kind(
        "clusters.kinds.ssh", DaskClass("distributed", "SSHCluster", "hpc", needs="asyncssh")
    ),
    "mpi": Kind("clusters.kinds.mpi", DaskClass("dask_mpi", "initialize", "hpc", needs="mpi4py")),
    "kubernetes": Kind(
        "clusters.kinds.kubernetes",
        DaskClass("dask_kubernetes.operator", "KubeCluster", "kubernetes"),
    ),
    "gateway": Kind("clusters.deploy", DaskClass("dask_gateway", "GatewayCluster", "gateway")),
    "custom": Kind("clusters.kinds.custom"),
}
"""By the word of ``cluster.kind``."""


def open_engine(
    cluster: Cluster | str,
    options: Mapping[str, Any] | None = None,
    *,
    memory: int | None = None,
    tasks: int | None = None,
    say: Callable[[str], object] | None = None,
) -> Engine:
    """Open the engine that the config's section ``cluster`` asks for; close it after use.

    Parameters
    ----------
    cluster
        The section, or its `kind` alone.
    options
        Its `options`, where only the kind is given.
    memory
        Bytes for the run: on this machine for driver and workers together, on a cluster for
        each worker. None: a share of what is free.
    tasks
        How many tasks there will be, if that is known: no more workers are started.
    say
        Told in words what somebody who waits for the start had best know.

    Raises
    ------
    ConfigError
        If the kind or an option does not exist or does not fit, or needs what is not installed.
    ClusterError
        If the machines are not there.
    """
    return cast("Engine", _asked("open_engine", cluster, options, memory, tasks, say))


def engine_size(
    cluster: Cluster | str,
    options: Mapping[str, Any] | None = None,
    *,
    memory: int | None = None,
    say: Callable[[str], object] | None = None,
) -> Size:
    """Return what an engine would have to work with, without starting anything.

    Of a scheduler that runs already its workers are asked. Parameters and errors are those of
    `open_engine`.
    """
    return cast("Size", _asked("size", cluster, options, memory, say=say))


def job_script(
    cluster: Cluster | str,
    options: Mapping[str, Any] | None = None,
    *,
    memory: int | None = None,
) -> str:
    """Return the job script, or specification, that a batch system would get; "" without one.

    Nothing is submitted. Parameters and errors are those of `open_engine`.
    """
    return cast("str", _asked("script", cluster, options, memory))


def _asked(
    name: str,
    cluster: Cluster | str,
    options: Mapping[str, Any] | None,
    memory: int | None,
    tasks: int | None = None,
    say: Callable[[str], object] | None = None,
) -> Any:
    """Call a function of the kind that is asked for."""
    if isinstance(cluster, str):
        cluster = Cluster(kind=cluster, options=dict(options or {}))
    kind = _kind(cluster.kind)
    for given in (cluster.options, cluster.dask_config):
        keep_secret("", given)
    request = Request(cluster, memory, tasks, kind.dask)
    try:
        if cluster.dask_config:
            # engines without settings of Dask need no Dask
            from chunkmeans.engines.clusters.opening import refuse_flat_settings

            refuse_flat_settings(cluster.dask_config)
        return kind.function(name)(request if say is None else replace(request, say=say))
    except (ConfigError, ClusterError) as error:
        # classes, and servers, repeat what they were given where they refuse it
        text = without_secrets(str(error))
        if text == str(error):
            raise
        raise type(error)(text) from None


def _kind(name: str) -> Kind:
    if name not in KINDS:
        near = get_close_matches(name, KINDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(KINDS)}"
        raise ConfigError(f"cluster.kind: there is no kind {name!r}; {hint}")
    return KINDS[name]
