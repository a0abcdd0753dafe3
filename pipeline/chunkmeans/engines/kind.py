"""What a word of ``cluster.kind`` stands for: the base class of all kinds, and their request."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from chunkmeans.config import Cluster
from chunkmeans.engines.base import Engine, Size
from chunkmeans.errors import ConfigError


def ignore_message(text: str) -> None:
    """Drop a message."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the config asks of the machines."""

    cluster: Cluster
    """The section of the config."""
    memory: int | None = None
    """Bytes for the run: of this machine, or of each worker elsewhere. None: what there is."""
    notify: Callable[[str], object] = ignore_message
    """Called with messages for a user who waits for the start."""


class EngineKind(ABC):
    """Opens an engine for a request; a kind of clusters is a `ClusterKind`, which has defaults.

    Constructing one, `size` and `script` start nothing.

    Parameters
    ----------
    request
        What the config asks for.

    Raises
    ------
    ConfigError
        By any method, if a key of the section does not fit, or needs what is not installed.
    ClusterError
        By any method, if the machines are not there.
    """

    unused: ClassVar[tuple[str, ...]] = ()
    """Keys of the section ``cluster`` that have no meaning for this kind, and are refused."""

    def __init__(self, request: Request) -> None:
        self.request, self.section = request, request.cluster
        for key in self.unused:
            if getattr(self.section, key):
                raise ConfigError(f"cluster.{key}: kind {self.section.kind} has no use for it")

    @abstractmethod
    def open(self) -> Engine:
        """Open the engine; the caller closes it."""

    def size(self) -> Size:
        """Return what there would be to work with; override it where `open` starts anything."""
        with self.open() as engine:
            return engine.size

    def script(self) -> str:
        """Return the job script, or specification, that `open` would submit; "" without one."""
        return ""
