"""What is asked of the machines: the section ``cluster`` of a config, and how much there is to do.

Every module of an engine has three functions of a request: `open_engine` starts what it asks for,
`size` tells what there would be to work with, and `script` what would be handed to a batch system.
"""

import inspect
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from chunkmeans.config import Cluster
from chunkmeans.errors import ConfigError


@dataclass(frozen=True, slots=True)
class DaskClass:
    """A class, or a function, that starts a Dask cluster: where it lies and what brings it."""

    module: str
    name: str
    extra: str = ""
    """Extra of chunkmeans that installs it; "" where that is the user's business."""
    needs: str = ""
    """Another module without which it does not work."""

    def load(self, kind: str) -> Any:
        """Import it.

        Raises
        ------
        ConfigError
            If it is not installed; says what to install.
        """
        try:
            module = _imported(self.module)
        except ImportError as error:
            raise ConfigError(
                f"cluster.kind: {kind} needs {self.module}: {error}{self._how}"
            ) from None
        if self.needs and find_spec(self.needs) is None:
            raise ConfigError(f"cluster.kind: {kind} needs {self.needs}{self._how}")
        try:
            found = getattr(module, self.name)
        except AttributeError:
            raise ConfigError(
                f"cluster.options.class: there is no {self.name} in {self.module}"
            ) from None
        try:
            inspect.signature(found)
        except (TypeError, ValueError):  # a module, a number, what takes nobody knows what
            raise ConfigError(
                f"cluster.options.class: {self.name} of {self.module} is no class that starts a "
                "cluster; give a class of Dask, such as {module: distributed, class: LocalCluster}"
            ) from None
        return found

    @property
    def _how(self) -> str:
        """How to install it."""
        return f"; pip install 'chunkmeans[{self.extra}]'" if self.extra else ""


def _unheard(text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of the machines."""

    cluster: Cluster
    """The section of the config."""
    memory: int | None = None
    """Bytes for the run: of this machine, or of each worker elsewhere. None: what there is."""
    tasks: int | None = None
    """How many tasks there will be, if that is known."""
    dask: DaskClass | None = None
    """What starts a cluster of this kind, if a class of Dask does."""
    say: Callable[[str], object] = _unheard
    """Told in words what somebody who waits for the start had best know."""

    @property
    def kind(self) -> str:
        """Its kind."""
        return self.cluster.kind

    def load(self) -> Any:
        """Import what starts a cluster of this kind; errors as of `DaskClass.load`."""
        if self.dask is None:
            raise ConfigError(f"cluster.kind: {self.kind} is started by no class of Dask")
        return self.dask.load(self.kind)


def _imported(name: str) -> Any:
    """Import a module, and keep what Ctrl-C does here: dask-jobqueue would make it a plain exit."""
    if threading.current_thread() is not threading.main_thread():
        return import_module(name)
    before = signal.getsignal(signal.SIGINT)
    try:
        return import_module(name)
    finally:
        signal.signal(signal.SIGINT, before)
