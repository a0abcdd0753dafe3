"""Any other class of Dask that starts a cluster: ``{module: ..., class: ..., kwargs: {...}}``."""

from collections.abc import Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any

from chunkmeans.engines.base import Size
from chunkmeans.engines.clusters import deploy
from chunkmeans.engines.clusters.kinds import jobqueue
from chunkmeans.engines.clusters.listening import refuse_listening
from chunkmeans.engines.clusters.options import arguments, mapping, refuse_unknown, takes_any
from chunkmeans.engines.clusters.request import DaskClass, Request
from chunkmeans.engines.clusters.security import (
    dashboard_here,
    listening,
    refuse_exposed,
    security_of,
)
from chunkmeans.engines.dask.engine import DaskEngine
from chunkmeans.errors import ConfigError


def open_engine(request: Request) -> DaskEngine:
    """Open an engine on the cluster that the class starts with these arguments."""
    request, way = _resolved(request)
    if way is jobqueue:
        return jobqueue.open_engine(request)
    options = deploy.checked(request)
    security, cls = security_of(request), request.load()
    if not request.cluster.insecure and "dashboard_address" in arguments(cls):
        options.setdefault("dashboard_address", dashboard_here())  # Dask's own is every network
    if security is not None:
        if "security" not in arguments(cls) and not takes_any(cls):
            raise ConfigError(f"cluster.security: {cls.__name__} takes none")
        options["security"] = security
    return deploy.opened(request, options, planned=deploy.planned(request))


def size(request: Request) -> Size:
    """Return what there would be to work with, as far as the section says it."""
    request, way = _resolved(request)
    found: Size = way.size(request)
    return found


def script(request: Request) -> str:
    """Return what would be submitted, where the class is one of dask-jobqueue."""
    request, way = _resolved(request)
    return str(way.script(request))


def _resolved(request: Request) -> tuple[Request, ModuleType]:
    """Return the request as one of that class, and the module that knows its family."""
    options = request.cluster.options
    refuse_unknown(options, {"module", "class", "kwargs"}, request.kind)
    for name in ("module", "class"):
        if not isinstance(options.get(name), str):
            raise ConfigError(
                f"cluster.options.{name}: missing; give {{module: ..., class: ..., kwargs: ...}}"
            )
    dask = DaskClass(options["module"], options["class"])
    kwargs: Mapping[str, Any] = mapping(options, "kwargs")
    cluster = request.cluster.model_copy(update={"options": kwargs})
    request = replace(request, cluster=cluster, dask=dask)
    if hasattr(request.load(), "job_cls"):
        return request, jobqueue
    refuse_exposed(request, *listening(kwargs.get("host"), kwargs.get("interface")))
    refuse_listening(request, kwargs)
    return request, deploy
