"""Pods of Kubernetes, made by Dask's operator there."""

from collections.abc import Mapping
from math import ceil
from typing import Any

import yaml
from dask.utils import parse_bytes
from distributed.deploy import Cluster as DaskCluster

from chunkmeans.engines.base import Size
from chunkmeans.engines.clusters.deploy import first, opened, planned
from chunkmeans.engines.clusters.opening import configured, words
from chunkmeans.engines.clusters.options import (
    OURS,
    arguments,
    mapping,
    refuse_unfit,
    refuse_unknown,
    size_elsewhere,
)
from chunkmeans.engines.clusters.request import Request
from chunkmeans.engines.clusters.scaling import refuse_wrong_scaling
from chunkmeans.engines.clusters.security import refuse_exposed
from chunkmeans.engines.clusters.timeout import TooLate, within
from chunkmeans.engines.dask.connection import PATIENCE
from chunkmeans.engines.dask.engine import DaskEngine
from chunkmeans.engines.dask.settings import environment
from chunkmeans.errors import ClusterError, ConfigError


def open_engine(request: Request) -> DaskEngine:
    """Open an engine on pods, which are deleted when it closes.

    Options are arguments of ``dask_kubernetes.operator.KubeCluster``.
    """
    options = _options(request)
    _ask_for_an_answer(max(request.cluster.wait.timeout, PATIENCE))
    return opened(
        request,
        options,
        planned=planned(request),
        scalable=False,
        advice="see by kubectl describe whether the pods of the workers can be placed",
    )


def _ask_for_an_answer(seconds: float) -> None:
    """Refuse to begin where no Kubernetes answers: Dask's class would leave half of itself."""
    import kr8s  # what dask-kubernetes speaks to it with

    try:
        within(seconds, lambda: kr8s.api().version())
    except TooLate as error:
        raise ClusterError(
            f"kubernetes: no cluster answers within {seconds:g} seconds; see what kubectl version "
            "says"
        ) from error
    except Exception as error:
        raise ClusterError(
            f"kubernetes: no cluster answers: {words(error)}; see what kubectl version says"
        ) from error


def size(request: Request) -> Size:
    """Return what there would be to work with, as far as the resources of the pods say it."""
    resources = mapping(_options(request), "resources")
    inside = {f"resources.{name}": resources.get(name) for name in ("requests", "limits")}
    most = {key: value for name in inside for key, value in mapping(inside, name).items()}
    try:
        memory = parse_bytes(str(most["memory"])) if "memory" in most else None
        threads = _cores(str(most.get("cpu", 1)))
    except ValueError as error:
        raise ConfigError(f"cluster.options.resources: {error}") from error
    workers = planned(request)
    return size_elsewhere(request, workers, workers * threads, memory)


def script(request: Request) -> str:
    """Return the resource that Dask's operator would be given."""
    options = _options(request)
    spec = options.get("custom_cluster_spec")
    if isinstance(spec, str):
        with open(spec) as file:
            return file.read()
    if spec is None:
        request.load()
        from dask_kubernetes.operator import make_cluster_spec

        with configured(request):
            known = arguments(make_cluster_spec)
            spec = make_cluster_spec(**{k: v for k, v in options.items() if k in known})
    return str(yaml.safe_dump(spec, sort_keys=False))


def _options(request: Request) -> dict[str, Any]:
    """Return the arguments of the class: what the config says, and our settings for the workers."""
    cls, options = request.load(), dict(request.cluster.options)
    refuse_unfit(request, "security")
    if isinstance(request.cluster.scale, Mapping):
        raise ConfigError("cluster.scale: kind kubernetes takes a number of workers")
    refuse_exposed(request, "the network of the pods")
    refuse_unknown(options, arguments(cls, DaskCluster) - OURS, request.kind)
    refuse_wrong_scaling(request)
    if "custom_cluster_spec" not in options:
        options.setdefault("name", "chunkmeans")
        options["n_workers"] = first(request)
        options["env"] = _with_settings(request, options.get("env"))
    return {"quiet": True, **options}  # it would draw over our own display


def _with_settings(request: Request, env: Any) -> Any:
    """Return the environment of the pods with our settings, in the form that it was given in."""
    ours = environment(request.cluster.dask_config)
    if isinstance(env, list):
        return [*({"name": name, "value": value} for name, value in ours.items()), *env]
    if env is None or isinstance(env, Mapping):
        return {**ours, **(env or {})}
    raise ConfigError("cluster.options.env: must be a mapping, or a list of name and value")


def _cores(cpu: str) -> int:
    """Return how many threads a worker starts for so many processors, which may be thousandths."""
    return max(1, ceil(float(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)))
