"""Kind ``custom``: any other class of Dask, ``{module: ..., class: ..., kwargs: {...}}``."""

from dataclasses import replace

from chunkmeans.engines.clusters.dask_class import DaskClass
from chunkmeans.engines.clusters.kind import ClusterKind
from chunkmeans.engines.clusters.kinds.jobqueue import JobQueue
from chunkmeans.engines.kind import Request
from chunkmeans.engines.options import mapping, refuse_unknown
from chunkmeans.errors import ConfigError


class Custom(ClusterKind):
    """The class is a batch system of dask-jobqueue, or called with its arguments as they are."""

    def __new__(cls, request: Request) -> ClusterKind:  # type: ignore[misc]
        """Return the kind of clusters that fits the class."""
        section, options = request.cluster, request.cluster.options
        refuse_unknown(options, {"module", "class", "kwargs"}, section.kind)
        for name in ("module", "class"):
            if not isinstance(options.get(name), str):
                raise ConfigError(
                    f"cluster.options.{name}: missing; give {{module: ..., class: ..., "
                    "kwargs: ...}}"
                )
        dask = DaskClass(options["module"], options["class"])
        kind = JobQueue if hasattr(dask.load(section.kind), "job_cls") else ClusterKind
        section = section.model_copy(update={"options": mapping(options, "kwargs")})
        found = kind(replace(request, cluster=section))
        found.dask = dask
        return found
