"""Kind ``custom``: any other class of Dask, ``{module: ..., class: ..., kwargs: {...}}``."""

from dataclasses import replace

from chunkmeans.engines.base import Size
from chunkmeans.engines.clusters.dask_class import DaskClass
from chunkmeans.engines.clusters.kind import ClusterKind
from chunkmeans.engines.clusters.kinds.jobqueue import JobQueue
from chunkmeans.engines.dask.engine import DaskEngine
from chunkmeans.engines.kind import EngineKind, Request
from chunkmeans.engines.options import mapping, refuse_unknown
from chunkmeans.errors import ConfigError


class Custom(EngineKind):
    """The class is a batch system of dask-jobqueue, or called with its arguments as they are."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        options = self.section.options
        refuse_unknown(options, {"module", "class", "kwargs"}, self.section.kind)
        for name in ("module", "class"):
            if not isinstance(options.get(name), str):
                raise ConfigError(
                    f"cluster.options.{name}: missing; give {{module: ..., class: ..., "
                    "kwargs: ...}}"
                )
        dask = DaskClass(options["module"], options["class"])
        kind = JobQueue if hasattr(dask.load(self.section.kind), "job_cls") else ClusterKind
        section = self.section.model_copy(update={"options": mapping(options, "kwargs")})
        self._kind = kind(replace(request, cluster=section))
        self._kind.dask = dask

    def open(self) -> DaskEngine:
        """Open an engine on the cluster that the class starts with these arguments."""
        return self._kind.open()

    def size(self) -> Size:
        """Return what there would be to work with, as far as the section says it."""
        return self._kind.size()

    def script(self) -> str:
        """Return what would be submitted, where the class is one of dask-jobqueue."""
        return self._kind.script()
