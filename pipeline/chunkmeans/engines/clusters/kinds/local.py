"""Kind ``local``: worker processes on this machine, or threads of this one, on loopback only."""

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from distributed import LocalCluster, Nanny, Security, Worker
from distributed.deploy.utils import nprocesses_nthreads

from chunkmeans.engines.base import Size
from chunkmeans.engines.clusters.dask_class import DaskClass
from chunkmeans.engines.clusters.kind import ClusterKind
from chunkmeans.engines.clusters.security import LOOPBACK, dashboard_here
from chunkmeans.engines.dask.connection import Workers
from chunkmeans.engines.machine import cores, free_memory
from chunkmeans.engines.options import arguments, count
from chunkmeans.errors import ConfigError

SMALLEST = 384 * 2**20
"""Bytes below which a worker process has no room to work: Python and our libraries take half."""


class Local(ClusterKind):
    """Memory is that of this process and the workers together: this process gets a worker's share.

    Options are arguments of ``distributed.LocalCluster``; ``processes: false`` makes it one worker
    of threads in this process.
    """

    dask = DaskClass("distributed", "LocalCluster")
    unused = ("adapt",)
    known = frozenset({"n_workers"})
    scaled_by_number = True
    scaled_later = False
    foreign = False

    def checked(self) -> dict[str, Any]:
        """Return the options, with ``scale`` among them."""
        options = super().checked()
        if self.section.scale is not None:
            if "n_workers" in options:
                raise ConfigError("cluster.scale: clashes with cluster.options.n_workers; give one")
            options["n_workers"] = self.section.scale
        return {**options, "processes": bool(options.get("processes", True))}

    def arguments(self, options: dict[str, Any], security: Security | None) -> dict[str, Any]:
        """Return the options with a layout, on loopback; they take precedence."""
        self._memory, workers, threads = self._layout(options)
        preload = ["chunkmeans.engines.worker.preload"]
        return {
            **({} if "interface" in options else {"host": LOOPBACK}),
            "protocol": "tls" if security else "tcp",  # inproc would listen on every address
            "security": security,
            "dashboard_address": dashboard_here(),
            "silence_logs": logging.CRITICAL,  # errors are reported once, by outcomes
            "memory_limit": self._memory,
            **({"preload": preload} if options["processes"] else {}),
            **options,
            "n_workers": workers,
            "threads_per_worker": threads,
        }

    def workers(self, given: Mapping[str, Any], cluster: Any) -> Workers:
        """Return what `arguments` started."""
        number, advice = given["n_workers"], "see whether something on this machine ends them"
        # A worker that takes too long to come back is given up by Dask and never started again.
        replace = partial(cluster.scale, number) if given["processes"] else None
        return Workers(number, memory=self._memory, replace=replace, advice=advice)

    def size(self) -> Size:
        """Return what the workers would have to work with."""
        memory, workers, threads = self._layout(self.checked())
        return Size(workers, workers * threads, memory, apart=True)

    def options_known(self) -> set[str]:
        """Return the arguments of the class, and of the workers that it starts."""
        return arguments(LocalCluster, Nanny, Worker)

    def _layout(self, options: dict[str, Any]) -> tuple[int, int, int]:
        """Return bytes and number of the workers, and threads of each; without them in `options`.

        A number that the config does not say is such that all processors are used, and fewer
        processes where memory does not carry them.
        """
        memory = free_memory() if self.request.memory is None else self.request.memory
        asked, threads = (_count(options, name) for name in ("n_workers", "threads_per_worker"))
        if not options["processes"]:
            return memory, asked or 1, threads or cores()
        if asked is None and threads is None:
            most, each = nprocesses_nthreads(cores())
        else:
            most = asked or max(1, cores() // (threads or 1))
            each = threads or max(1, cores() // most)
        fitting = memory // SMALLEST - 1
        if fitting < (most if asked else 1):
            raise ConfigError(
                f"memory: {memory / 2**20:.0f} MiB do not carry {most} worker processes and their "
                f"driver, at {SMALLEST / 2**20:.0f} MiB each; raise `memory`, lower "
                "cluster.options.n_workers, or use cluster.kind: serial"
            )
        workers = min(fitting, most)
        if workers < most and threads is None:  # fewer processes, each with more processors
            each = max(1, cores() // workers)
        return memory // (workers + 1), workers, each


def _count(options: dict[str, Any], name: str) -> int | None:
    """Take a count from `options`; None where it is not given."""
    value = options.pop(name, None)
    return None if value is None else count(value, f"cluster.options.{name}")
