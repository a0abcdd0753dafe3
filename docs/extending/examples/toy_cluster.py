"""A kind of cluster: two workers in this process, on loopback."""

from collections.abc import Mapping
from typing import Any

from chunkmeans.engines.clusters.dask_class import DaskClass
from chunkmeans.engines.clusters.kind import ClusterKind
from distributed import LocalCluster


class ToyCluster(LocalCluster):
    """The Dask cluster itself. A package of your site usually brings this class."""

    def __init__(self, host: str = "127.0.0.1", threads: int = 1, dashboard_address: str = ""):
        super().__init__(
            host=host,
            protocol="tcp",
            processes=False,
            n_workers=0,
            threads_per_worker=threads,
            dashboard_address=dashboard_address,
        )


class Toy(ClusterKind):
    """What chunkmeans knows of it."""

    dask = DaskClass("toy_cluster", "ToyCluster", install="toy-cluster")
    unused = ("security",)

    def arguments(self, options: dict[str, Any], security: Any) -> dict[str, Any]:
        """Have it listen on loopback, unless the config says where."""
        return super().arguments({"host": "127.0.0.1", **options}, security)

    def each_worker(self, given: Mapping[str, Any]) -> tuple[int, int | None]:
        """Return the threads of a worker, and its bytes, which this class does not bound."""
        return given.get("threads", 1), None
