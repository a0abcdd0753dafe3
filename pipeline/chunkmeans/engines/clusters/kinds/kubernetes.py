"""Kind ``kubernetes``: pods, made by Dask's operator there."""

from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any

import yaml
from dask.utils import parse_bytes
from distributed import Security
from distributed.deploy import Cluster as DaskCluster

from chunkmeans.engines.clusters.dask_class import DaskClass
from chunkmeans.engines.clusters.kind import ClusterKind
from chunkmeans.engines.clusters.opening import call_within, first_message
from chunkmeans.engines.clusters.security import refuse_exposed
from chunkmeans.engines.dask.connection import LEAST_TIMEOUT
from chunkmeans.engines.dask.engine import DaskEngine
from chunkmeans.engines.dask.settings import environment
from chunkmeans.engines.options import arguments, mapping
from chunkmeans.errors import ClusterError, ConfigError


class Kubernetes(ClusterKind):
    """Pods are deleted when the engine closes.

    Options are arguments of ``dask_kubernetes.operator.KubeCluster``.
    """

    dask = DaskClass("dask_kubernetes.operator", "KubeCluster", "chunkmeans[kubernetes]")
    unused = ("security",)
    scaled_by_number = True
    scaled_later = False

    def open(self) -> DaskEngine:
        """Open an engine on new pods, if there is a Kubernetes that answers."""
        self.given(planned=True)  # refused before the wait
        _await_api(max(self.section.wait.timeout, LEAST_TIMEOUT))
        return super().open()

    def script_of(self, given: dict[str, Any]) -> str:
        """Return the resource that Dask's operator would be given."""
        spec = given.get("custom_cluster_spec")
        if isinstance(spec, str):
            return Path(spec).read_text()
        if spec is None:
            from dask_kubernetes.operator import make_cluster_spec

            known = arguments(make_cluster_spec)
            spec = make_cluster_spec(**{k: v for k, v in given.items() if k in known})
        return str(yaml.safe_dump(spec, sort_keys=False))

    def options_known(self) -> set[str]:
        """Return the arguments of the class, and of the one above it."""
        return arguments(self.load(), DaskCluster)

    def refuse_exposed(self, options: Mapping[str, Any]) -> None:
        """Refuse all where the config does not say `insecure`: pods have no certificates."""
        refuse_exposed(self.section, "the network of the pods")

    def arguments(self, options: dict[str, Any], security: Security | None) -> dict[str, Any]:
        """Return the options with the number of workers, and our settings in their environment."""
        if "custom_cluster_spec" not in options:
            options.setdefault("name", "chunkmeans")
            options["n_workers"] = self.first_workers()
            options["env"] = self._with_settings(options.get("env"))
        return {"quiet": True, **options}  # it would draw over our own display

    def each_worker(self, given: Mapping[str, Any]) -> tuple[int, int | None]:
        """Return threads and bytes by the resources of the pods."""
        resources = mapping(given, "resources")
        inside = {f"resources.{name}": resources.get(name) for name in ("requests", "limits")}
        most = {key: value for name in inside for key, value in mapping(inside, name).items()}
        try:
            memory = parse_bytes(str(most["memory"])) if "memory" in most else None
            cpu = str(most.get("cpu", 1))  # of which there may be thousandths
            number = float(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)
            return max(1, ceil(number)), memory
        except ValueError as error:
            raise ConfigError(f"cluster.options.resources: {error}") from error

    def advice(self, given: Mapping[str, Any]) -> str:
        """Return what to do where no worker comes."""
        return "see by kubectl describe whether the pods of the workers can be placed"

    def _with_settings(self, env: Any) -> Any:
        """Return the environment of the pods with our settings, in the form that it has."""
        ours = environment(self.section.dask_config)
        if isinstance(env, list):
            return [*({"name": name, "value": value} for name, value in ours.items()), *env]
        if env is None or isinstance(env, Mapping):
            return {**ours, **(env or {})}
        raise ConfigError("cluster.options.env: must be a mapping, or a list of name and value")


def _await_api(seconds: float) -> None:
    """Refuse to begin where no Kubernetes answers: Dask's class would leave half of itself."""
    import kr8s  # by which dask-kubernetes reaches it

    see = "see what kubectl version says"
    late = f"kubernetes: no cluster answers within {seconds:g} seconds; {see}"
    try:
        call_within(seconds, lambda: kr8s.api().version(), late)
    except ClusterError:
        raise
    except Exception as error:
        why = first_message(error)
        raise ClusterError(f"kubernetes: no cluster answers: {why}; {see}") from error
