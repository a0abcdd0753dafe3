"""Kinds ``address`` and ``scheduler_file``: a Dask scheduler that runs already."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import dask
from dask.utils import parse_timedelta
from distributed import Client
from distributed.security import Security

from chunkmeans.engines.clusters.dask_class import DaskClass
from chunkmeans.engines.clusters.kind import ClusterKind
from chunkmeans.engines.clusters.opening import no_answer
from chunkmeans.engines.clusters.security import security_of
from chunkmeans.engines.dask.connection import Workers, await_answer
from chunkmeans.engines.dask.engine import DaskEngine
from chunkmeans.engines.kind import EngineKind
from chunkmeans.errors import ClusterError, ConfigError


class Address(ClusterKind):
    """Opens an engine on the workers of a running scheduler, which goes on after the run.

    Options are those of ``distributed.Client``. Memory is what a worker may use; None: what the
    workers were started with.
    """

    dask = DaskClass("distributed", "Client")
    unused = ("scale", "adapt")
    refused = frozenset({"scheduler_file"})
    any_option = False
    wanted, example = "address", "tcp://host:8786"
    """The option that names the scheduler."""

    def open_on(self, stack: ExitStack) -> DaskEngine:
        """Connect to the scheduler."""
        options = self.checked()
        scheduler = options.pop(self.wanted, None)
        if not isinstance(scheduler, str) or not scheduler:
            raise ConfigError(
                f"cluster.options.{self.wanted}: missing; give the scheduler's, {self.example}"
            )
        address = self.address(scheduler)
        security = security_of(self.section, temporary=False)
        if security is not None and address.partition("://")[0] not in ("tls", "wss"):
            raise ConfigError(
                f"cluster.security: {address} is not encrypted; give tls://..., or leave "
                "cluster.security out"
            )
        usual = dask.config.get("distributed.comm.timeouts.connect")
        timeout = parse_timedelta(options.get("timeout", usual), "s")
        try:
            await_answer(address, timeout, security or Security())
            client = Client(address, set_as_default=False, security=security, **options)
            stack.enter_context(client)
        except (OSError, ValueError, MemoryError, TypeError, RuntimeError) as error:
            raise no_answer(address, error) from error
        return self.engine(client, stack, Workers(memory=self.request.memory))

    size = EngineKind.size  # the workers are asked

    def refuse_exposed(self, options: Mapping[str, Any]) -> None:
        """Refuse nothing: what listens was started before."""

    def address(self, scheduler: str) -> str:
        """Return the address of a scheduler, which is what the option says."""
        return scheduler


class SchedulerFile(Address):
    """The same by the file that ``dask scheduler --scheduler-file`` writes, or is about to."""

    refused = frozenset({"address"})
    wanted, example = "scheduler_file", "scheduler.json"

    def address(self, scheduler: str) -> str:
        """Return the address in the file `scheduler`, which is waited for."""
        file, since, timeout = Path(scheduler), monotonic(), self.section.wait.timeout
        if not file.is_file():
            if not file.parent.is_dir():
                raise ConfigError(
                    f"{file}: there is no folder {file.parent} in which a scheduler could write "
                    "it; give the path that dask scheduler --scheduler-file got"
                )
            self.request.notify(
                f"waiting for a scheduler to write {file}, at most {timeout:g} seconds"
            )
        while not file.is_file():
            if monotonic() - since > timeout:
                raise ClusterError(
                    f"{file}: no scheduler has written it within {timeout:g} seconds; start one by "
                    f"dask scheduler --scheduler-file {file}"
                )
            sleep(0.1)
        try:
            return str(json.loads(file.read_text())["address"])
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{file}: is not what dask scheduler --scheduler-file writes: {error}"
            ) from error
