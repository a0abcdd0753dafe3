"""Objects behind a URL: what an output asks of an object store, and no more than that.

Objects are put whole, got whole, listed and deleted. Nothing is appended to, renamed or locked.
Each call is tried again where its error may pass, and raises nothing but `OSError`.
"""

import errno
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from tempfile import NamedTemporaryFile
from typing import Any, TypeVar

from chunkmeans.errors import ChunkmeansError
from chunkmeans.retry import is_transient, with_retries
from chunkmeans.urls import filesystem

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class ObjectStore:
    """The objects that some storage options open; each is named by its URL. Pickles."""

    storage_options: Mapping[str, Any]

    def kind(self, url: str) -> str:
        """Return ``file``, ``directory``, or nothing if nothing is there.

        A directory may hold nothing: some stores keep one after the last object in it.
        """
        return self._do(url, _kind)

    def get(self, url: str) -> bytes:
        """Return an object."""
        return self._do(url, lambda system, path: bytes(system.cat_file(path)))

    def put(self, url: str, data: bytes) -> None:
        """Write an object, whole or not at all."""
        self._do(url, lambda system, path: system.pipe_file(path, data))

    def put_parts(self, url: str, parts: Iterable[bytes]) -> None:
        """Write an object, whole or not at all; never all of it in memory."""
        with NamedTemporaryFile() as file:
            file.writelines(parts)
            file.flush()
            self._do(url, lambda system, path: system.put_file(file.name, path))

    def create(self, url: str, data: bytes) -> bool:
        """Write an object that is not there; False if it is.

        Not every store knows which of two at once was first: then both succeed.
        """

        def act(system: Any, path: str) -> bool:
            if _kind(system, path):
                return False
            try:
                system.pipe_file(path, data, mode="create")
            except FileExistsError:
                return False
            except NotImplementedError:
                system.pipe_file(path, data)
            except OSError as error:
                if error.errno == errno.ENOSYS:
                    system.pipe_file(path, data)
                elif _kind(system, path):  # some refuse in other words
                    return False
                else:
                    raise
            return True

        return self._do(url, act)

    def files(self, url: str) -> list[str]:
        """Return the names of all objects below a URL, relative to it, sorted."""
        return self._do(url, _below)

    def missing(self, url: str, files: Sequence[str]) -> list[str]:
        """Return those of `files`, which should be below a URL, that are not there."""
        present = set(self.files(url))
        return [file for file in files if file not in present]

    def names(self, url: str) -> list[str]:
        """Return the names of what lies directly below a URL, sorted."""

        def act(system: Any, path: str) -> list[str]:
            try:
                found = {str(name).rstrip("/") for name in system.ls(path, detail=False)}
            except FileNotFoundError:
                return []
            return sorted(name.rpartition("/")[2] for name in found - {path.rstrip("/")})

        return self._do(url, act)

    def delete(self, url: str, first: str) -> None:
        """Delete an object, or all below a URL; of these the one of the name `first` at first."""

        def act(system: Any, path: str) -> None:
            if _kind(system, path) == "file":
                system.rm_file(path)
                return
            with suppress(FileNotFoundError):
                system.rm_file(f"{path}/{first}")
            with suppress(FileNotFoundError):
                system.rm(path, recursive=True)
            if left := _below(system, path):  # s3fs does not report what it was refused
                raise PermissionError(f"{len(left)} objects are still there, such as {left[0]}")

        self._do(url, act)

    def _do(self, url: str, act: Callable[[Any, str], _Value]) -> _Value:
        def once() -> _Value:
            try:
                return act(*filesystem(url, self.storage_options))
            except (OSError, ChunkmeansError):
                raise
            except Exception as error:  # of the network's packages, which have no common base
                kind = ConnectionError if is_transient(error) else PermissionError
                raise kind(f"{type(error).__name__}: {error}") from error

        return with_retries(once)


def _below(system: Any, path: str) -> list[str]:
    """Return the names of the objects below a path; some stores list the path itself, too."""
    base = path.rstrip("/") + "/"
    found = (str(name) for name in system.find(path))
    return sorted(n.removeprefix(base) for n in found if n.startswith(base) and n != base)


def _kind(system: Any, path: str) -> str:
    # fsspec's own `exists` and `isdir` take any failure for a no
    try:
        return str(system.info(path)["type"])
    except FileNotFoundError:
        return ""
