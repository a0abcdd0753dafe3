"""Kind ``gateway``: a cluster behind a Dask Gateway, which hands out its own certificates."""

from collections.abc import Mapping
from typing import Any

from chunkmeans.engines.clusters.dask_class import DaskClass
from chunkmeans.engines.clusters.kind import ClusterKind


class Gateway(ClusterKind):
    """Options are arguments of ``dask_gateway.GatewayCluster``, and of the site's clusters."""

    dask = DaskClass("dask_gateway", "GatewayCluster", "chunkmeans[gateway]")
    unused = ("security",)

    def refuse_exposed(self, options: Mapping[str, Any]) -> None:
        """Refuse nothing: the scheduler listens where the gateway has it listen, with TLS."""
