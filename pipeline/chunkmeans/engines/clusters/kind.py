"""A kind of Dask clusters: how one is opened, sized and secured, with defaults for each step."""

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any, ClassVar

from distributed import Client, Security, SpecCluster

from chunkmeans.engines.base import Size
from chunkmeans.engines.clusters import opening
from chunkmeans.engines.clusters.dask_class import DaskClass
from chunkmeans.engines.clusters.scaling import refuse_wrong_scaling
from chunkmeans.engines.clusters.security import (
    LOOPBACK,
    dashboard_here,
    refuse_exposed,
    refuse_listening,
    security_of,
)
from chunkmeans.engines.dask.connection import DEFAULT_ADVICE, LEAST_TIMEOUT, Connection, Workers
from chunkmeans.engines.dask.engine import DaskEngine
from chunkmeans.engines.dask.same_code import refuse_other_code
from chunkmeans.engines.dask.settings import configured, refuse_flat_settings
from chunkmeans.engines.kind import EngineKind, Request
from chunkmeans.engines.machine import free_memory
from chunkmeans.engines.options import arguments, refuse_unknown, takes_any
from chunkmeans.errors import ConfigError

_WORKER_DASHBOARD = {"worker_dashboard_address": f"{LOOPBACK}:0"}
_OURS = {"asynchronous", "loop", "security", "n_workers"}
"""Arguments of Dask's classes that are given by us, or by other keys of the section."""


class ClusterKind(EngineKind):
    """Opens an engine on a cluster that a class of Dask starts: give the class, override the rest.

    The defaults: every argument of the class is an option, nothing listens on a network without
    TLS unless the config says `insecure`, ``scale`` or ``adapt`` set the number of workers, which
    is waited for, and closing the engine closes the cluster.
    """

    dask: DaskClass
    """What starts the cluster."""
    known: ClassVar[frozenset[str]] = frozenset()
    """Options beside the arguments of the class."""
    refused: ClassVar[frozenset[str]] = frozenset()
    """Arguments of the class that are no options."""
    any_option: ClassVar[bool] = True
    """Whether a class that takes arguments of any name has options of any name."""
    scaled_by_number: ClassVar[bool] = False
    """Whether ``scale`` takes a number of workers only."""
    scaled_later: ClassVar[bool] = True
    """Whether workers are asked for once the cluster is there; False: by its arguments."""
    foreign: ClassVar[bool] = True
    """Whether workers may have another chunkmeans than this process, so that they are asked."""
    temporary_certificates: ClassVar[bool] = True
    """Whether certificates that are made for this run reach the workers."""

    dashboard_on_loopback: ClassVar[bool] = False
    """Whether the dashboard is on loopback of the scheduler's machine, unless `insecure`."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        refuse_flat_settings(self.section.dask_config)

    # -- for the registry -----------------------------------------------------------------------

    def open(self) -> DaskEngine:
        """Start the cluster, and return an engine on it."""
        with ExitStack() as stack:
            stack.enter_context(configured(self.section.dask_config))
            return self.open_on(stack)

    def size(self) -> Size:
        """Return what there would be to work with, as far as the section says it."""
        with configured(self.section.dask_config):
            given = self.given(planned=True)
            workers = self.planned(given)
            threads, memory = self.each_worker(given)
        stated = [nbytes for nbytes in (memory, self.request.memory) if nbytes]
        # where neither states it, workers are assumed to have what is free here
        memory = min(stated, default=free_memory())
        return Size(workers, workers * threads, memory, apart=True, assumed=not stated)

    def script(self) -> str:
        """Return the job script, or specification, that the cluster would be started by."""
        with configured(self.section.dask_config):
            return self.script_of(self.given(planned=True))

    # -- to override ----------------------------------------------------------------------------

    def open_on(self, stack: ExitStack) -> DaskEngine:
        """Open the engine under Dask's settings; what it needs to close is put on `stack`."""
        section, kind, given = self.section, self.section.kind, self.given()
        timeout = max(section.wait.timeout, LEAST_TIMEOUT)
        cluster = opening.start_cluster(kind, self.load(), given, timeout)
        stack.callback(opening.close_cluster, cluster)
        try:
            client = stack.enter_context(Client(cluster, set_as_default=False))
        except OSError as error:
            raise opening.no_answer(cluster.scheduler_address, error) from error
        if self.scaled_later:
            opening.scale_cluster(kind, cluster, self.first_workers())
        engine = self.engine(client, stack, self.workers(given, cluster))
        if section.adapt is not None:  # only once there are some workers: none would be kept
            stack.callback(engine.close)  # which has taken over what was on the stack
            with opening.errors_of_dask("cluster.adapt: Dask refuses it", f"{kind}: cannot adapt"):
                cluster.adapt(**section.adapt)
            stack.pop_all()
        return engine

    def options_known(self) -> set[str] | None:
        """Return the names of all options; None: any."""
        cls = self.load()
        return None if self.any_option and takes_any(cls) else arguments(cls)

    def refuse_exposed(self, given: Mapping[str, Any]) -> None:
        """Refuse arguments by which anything would listen on a network without TLS."""
        refuse_exposed(self.section, given.get("host"), given.get("interface"))

    def arguments(self, options: dict[str, Any], security: Security | None) -> dict[str, Any]:
        """Return what the class is called with: the options, and ours that they leave open."""
        cls = self.load()
        taken = arguments(cls)
        if not self.section.insecure:  # Dask's dashboards are for every network
            dashboards = {"dashboard_address": dashboard_here(), **_WORKER_DASHBOARD}
            options = {**{k: v for k, v in dashboards.items() if k in taken}, **options}
        if security is not None:
            if "security" not in taken and not takes_any(cls):
                raise ConfigError(f"cluster.security: {cls.__name__} takes none")
            options["security"] = security
        return options

    def planned(self, given: Mapping[str, Any]) -> int:
        """Return how many workers there will be at the most, as far as the section says it."""
        section = self.section
        most = section.adapt.get("maximum") if section.adapt is not None else section.scale
        return most if isinstance(most, int) else section.wait.workers or 1

    def each_worker(self, given: Mapping[str, Any]) -> tuple[int, int | None]:
        """Return the threads and the bytes of a worker; None where the arguments do not say it."""
        return 1, None

    def workers(self, given: Mapping[str, Any], cluster: Any) -> Workers:
        """Return what is known of the workers of a cluster that is open."""
        replace = None
        # What Dask gave up, as a job that was cancelled, it starts again only if asked.
        if self.scaled_later and self.section.adapt is None and isinstance(cluster, SpecCluster):
            replace = partial(opening.call_scale, cluster.scale, self.first_workers())
        return Workers(1, self.planned(given), self.request.memory, replace, self.advice(given))

    def script_of(self, given: dict[str, Any]) -> str:
        """Return the script of `script`; "": what the class hands over is its own."""
        return ""

    def advice(self, given: Mapping[str, Any]) -> str:
        """Return what to do where no worker comes."""
        return DEFAULT_ADVICE

    # -- for subclasses -------------------------------------------------------------------------

    def load(self) -> Any:
        """Import what starts the cluster; `ConfigError` if it is not installed."""
        return self.dask.load(self.section.kind)

    def checked(self) -> dict[str, Any]:
        """Return a copy of the options, each refused by its key where it does not fit."""
        section, options = self.section, dict(self.section.options)
        names = self.options_known()
        if names is not None:
            names = names - _OURS - set(self.refused) | set(self.known)
            refuse_unknown(options, names, section.kind)
        refuse_listening(section, options)
        if self.scaled_by_number and isinstance(section.scale, Mapping):
            raise ConfigError(f"cluster.scale: kind {section.kind} takes a number of workers")
        refuse_wrong_scaling(section, self.load())
        return options

    def given(self, *, planned: bool = False) -> dict[str, Any]:
        """Return what the class is called with, once it is checked that nothing is exposed.

        Of what is only `planned` no certificates are made.
        """
        options, temporary = self.checked(), self.temporary_certificates
        given = self.arguments(options, security_of(self.section, temporary, planned))
        # not the options alone: what is filled in, or left to the class, listens as well
        self.refuse_exposed(given)
        refuse_listening(self.section, given)
        return given

    def first_workers(self) -> Any:
        """Return how many workers to ask for, a number or what the class's `scale` takes."""
        return self.section.scale or self.section.wait.workers or 1

    def engine(self, client: Client, stack: ExitStack, workers: Workers) -> DaskEngine:
        """Return an engine on the workers of a client; closing it closes what is on `stack`."""
        wait = self.section.wait
        connection = Connection(client, wait.timeout, workers)
        connection.await_workers(wait.workers or workers.first)
        if self.foreign:
            refuse_other_code(client, wait.timeout, self.request.notify)
        limits = [w["memory_limit"] for w in client.scheduler_info()["workers"].values()]
        on_loopback = self.dashboard_on_loopback and not self.section.insecure
        smallest = min((limit for limit in limits if limit), default=free_memory())
        memory = min(workers.memory or smallest, smallest)
        page = opening.dashboard_of(client, on_loopback)
        return DaskEngine(connection, memory=memory, dashboard=page, opened=stack.pop_all())
