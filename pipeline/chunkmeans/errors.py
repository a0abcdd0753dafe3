"""What can go wrong, as one small tree.

::

    ChunkmeansError
    ├── ConfigError     the config, or a word of the command line       exit 2
    ├── SourceError     an image that is missing, broken or refused     that image fails, exit 1
    │   └── LimitError  an image above a limit of the config            that image fails, exit 1
    ├── ChunkError      a chunk of an image that could not be computed  that image fails, exit 1
    ├── ResultError     an output that clashes or is damaged            exit 2
    └── ClusterError    the machines: no workers, lost scheduler        exit 3

Every message says what was asked, what was found, where, and what to do.
"""

import pickle


class ChunkmeansError(Exception):
    """Base of every error that chunkmeans raises on purpose."""

    exit_code = 1

    def __reduce__(self) -> tuple[object, ...]:
        # what caused it decides whether it is tried again, also where it comes from a worker
        return _restored, (type(self), self.args, self.__dict__, _sendable(self.__cause__))


class ConfigError(ChunkmeansError):
    """The config asks for something that does not exist or does not fit."""

    exit_code = 2


class SourceError(ChunkmeansError):
    """An image cannot be read, or is not what its name or header says."""


class LimitError(SourceError):
    """An image is larger than the config allows: another config may allow it."""

    def __init__(self, message: str, limit: str = "") -> None:
        super().__init__(message, limit)
        self.limit = limit
        """Which of ``images.limits`` refused it."""

    def __str__(self) -> str:
        return str(self.args[0])


class ChunkError(ChunkmeansError):
    """A chunk of an image could not be computed."""


class ResultError(ChunkmeansError):
    """An output clashes with what is asked, is incomplete or is damaged."""

    exit_code = 2


class ClusterError(ChunkmeansError):
    """The machines that should compute are not there."""

    exit_code = 3


def _restored(
    kind: type[ChunkmeansError],
    args: tuple[object, ...],
    state: dict[str, object],
    cause: BaseException | None,
) -> ChunkmeansError:
    error = kind(*args)
    error.__dict__.update(state)
    error.__cause__ = cause
    return error


def _sendable(cause: BaseException | None) -> BaseException | None:
    """Return an error of another package if it survives being sent, else None."""
    try:
        pickle.loads(pickle.dumps(cause))
    except Exception:  # whatever a foreign class does when it is pickled
        return None
    return cause
