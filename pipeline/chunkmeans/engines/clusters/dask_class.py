"""The class of Dask, or function, that starts a cluster: where it lies, and what installs it."""

import inspect
import signal
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from chunkmeans.errors import ConfigError


@dataclass(frozen=True, slots=True)
class DaskClass:
    """A class, or a function, that starts a Dask cluster; imported when it is needed."""

    module: str
    name: str
    install: str = ""
    """What ``pip install`` is to be given for it; "" where it is there, or the user named it."""
    needs: str = ""
    """Another module without which it does not work."""

    def load(self, kind: str) -> Any:
        """Import it.

        Raises
        ------
        ConfigError
            If it is not installed; says what to install.
        """
        how = f"; pip install '{self.install}'" if self.install else ""
        try:
            module = _import(self.module)
        except ImportError as error:
            raise ConfigError(f"cluster.kind: {kind} needs {self.module}: {error}{how}") from None
        if self.needs and find_spec(self.needs) is None:
            raise ConfigError(f"cluster.kind: {kind} needs {self.needs}{how}")
        found = getattr(module, self.name, None)
        if found is None:
            raise ConfigError(f"cluster.options.class: there is no {self.name} in {self.module}")
        try:
            inspect.signature(found)
        except (TypeError, ValueError):  # a module, a number, a function without a signature
            raise ConfigError(
                f"cluster.options.class: {self.name} of {self.module} is no class that starts a "
                "cluster; give a class of Dask, such as {module: distributed, class: LocalCluster}"
            ) from None
        return found


def _import(name: str) -> Any:
    """Import a module, and keep what Ctrl-C does here: dask-jobqueue would make it a plain exit."""
    before = signal.getsignal(signal.SIGINT)
    try:
        return import_module(name)
    finally:
        if signal.getsignal(signal.SIGINT) is not before:  # only the main thread can change it
            signal.signal(signal.SIGINT, before)
