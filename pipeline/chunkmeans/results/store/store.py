"""The root of an output: a folder or an object store, and where things lie in it.

Names of what a run writes are fixed here and nowhere else.
"""

import errno
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import url2pathname

from chunkmeans.errors import ConfigError, ResultError
from chunkmeans.results.store.local_files import PARTIAL, LocalFiles, one_at_a_time, sync_under
from chunkmeans.results.store.object_store import ObjectStore
from chunkmeans.retry import is_transient
from chunkmeans.secrets import PASSWORD, holds_password
from chunkmeans.urls import explained

if TYPE_CHECKING:
    from zarr.abc.store import Store as ZarrStore

RECORD = "run.json"
LEASE = "lease.json"
CATALOG = "catalog.csv"
LABELS = "labels.csv"
MODEL = "model.zarr"
SAMPLES = "samples.zarr"
FITS = "fits"
IMAGES = "images"
LOGS = "logs"
METADATA = "zarr.json"

# An attempt to write again ends the same way, unlike that of a network that hiccups.
_LASTING = {
    errno.EACCES: "may this user write there?",
    errno.EPERM: "may this user write there?",
    errno.EROFS: "choose a results.path that can be written",
    errno.ENOSPC: "free some space or choose another results.path, then run the same command again",
    errno.EDQUOT: "free some space or choose another results.path, then run the same command again",
    errno.EFBIG: "a limit on the size of files stands in the way",
    errno.ENAMETOOLONG: "shorten the names of the images or of results.path",
    errno.ENOTDIR: "a file stands where a folder is needed",
    errno.EISDIR: "a folder stands where a file is needed",
}


_SUFFIX = ".ome.zarr"
_READABLE = 40
"""Characters of a name that `path_of` shows, at most."""


def path_of(name: str) -> str:
    """Return the name of a file or folder for what has this `name`, such as a group of a manifest.

    A hash of the name stands for it; what is readable of it comes first, for people.

    >>> path_of("Slide 7/a")
    'Slide_7_a-c0b46bc4f973d182'
    """
    readable = re.sub(r"[^A-Za-z0-9]+", "_", name)[:_READABLE]
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f"{readable}-{digest}"


def image_path(image: str) -> str:
    """Return where the store of the image of this id lies."""
    return f"{IMAGES}/{image}{_SUFFIX}"


@dataclass(frozen=True)
class Store:
    """Handle of an output root. Holds no open file and pickles; every method does I/O.

    Texts are written whole or not at all: on a local disk to a temporary file that is synced
    and renamed, on an object store by one put.
    """

    path: str
    """A local folder, or a URL that fsspec knows."""
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    """Handed to fsspec; may hold secrets, so never shown."""

    def __post_init__(self) -> None:
        if not self.path:
            raise ConfigError("results.path is empty: name a folder or a URL")
        if holds_password(self.path):
            raise ConfigError(f"results.path {PASSWORD}")
        if self.folder is None and set("*?[") & set(self.path):
            raise ConfigError(
                f"results.path is {self.path!r}: in a URL *, ? and [ would stand for other names; "
                "choose one without"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        # another process may work in another folder
        path = os.path.abspath(self.path) if "://" not in self.path else self.path
        return type(self), (path, self.storage_options)

    @cached_property
    def folder(self) -> Path | None:
        """The root on a local disk; None where the root is a URL of something else."""
        if self.path.startswith("file://"):
            return Path(url2pathname(self.path.removeprefix("file://")))
        return None if "://" in self.path else Path(self.path)

    def join(self, name: str) -> str:
        """Return the full path of `name`, which lies inside this root.

        Raises
        ------
        ResultError
            If `name` would lead out of the root.
        """
        parts = name.split("/")
        if name and (not all(parts) or {".", ".."} & set(parts) or "\\" in name or "\0" in name):
            raise ResultError(f"{self.path}: {name!r} is not the name of something inside it")
        root = str(self.folder) if self.folder is not None else self.path.rstrip("/")
        return f"{root}/{name}" if name else root

    @cached_property
    def _files(self) -> LocalFiles | ObjectStore:
        return LocalFiles() if self.folder is not None else ObjectStore(self.storage_options)

    # -- texts ----------------------------------------------------------------------------------

    def read_text(self, name: str) -> str:
        """Return the text of the file `name`.

        Raises
        ------
        ResultError
            If it is missing or cannot be read.
        """
        return self.read_bytes(name).decode("utf-8", "surrogateescape")

    def read_bytes(self, name: str) -> bytes:
        """Return the bytes of the file `name`; errors as those of `read_text`."""
        with self.naming(name, "cannot be read"):
            return self._files.get(self.join(name))

    def write_text(self, name: str, text: str) -> None:
        """Write `text` as the file `name`, whole or not at all, safe from a loss of power.

        Raises
        ------
        ResultError
            If the disk is full, read-only, or otherwise refuses.
        """
        self.write_lines(name, (text,))

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write `data` as the file `name`, whole or not at all; on the disk after `sync`.

        Raises
        ------
        OSError
            Of the disk or the network, as it is: see `naming`.
        """
        self._files.put(self.join(name), data)

    def create_text(self, name: str, text: str) -> bool:
        """Write `text` as a new file `name`; False if there is one already.

        Of several at once one succeeds on a disk; on an object store, which may know no such
        thing, all of those that began before the first had ended.
        """
        with self.naming(name, "cannot be written"):
            return self._files.create(self.join(name), text.encode())

    def alone(self) -> AbstractContextManager[bool]:
        """Admit one process of this machine at a time; False where that is not possible."""
        return nullcontext(False) if self.folder is None else one_at_a_time(str(self.folder))

    def write_lines(self, name: str, lines: Iterable[str]) -> None:
        """Write `lines`, each with its own end, as the file `name`; as `write_text`, bit by bit.

        What makes the lines may raise; then nothing is written.
        """
        encoded = (line.encode("utf-8", "surrogateescape") for line in lines)
        with self.naming(name, "cannot be written"):
            self._files.put_parts(self.join(name), encoded)

    # -- files and trees ------------------------------------------------------------------------

    def exists(self, name: str) -> bool:
        """Whether there is a file or a folder of this name."""
        return self._kind(name) != ""

    def is_folder(self, name: str) -> bool:
        """Whether there is a folder of this name."""
        return self._kind(name) == "directory"

    def _kind(self, name: str) -> str:
        with self.naming(name, "cannot be looked up"):
            return self._files.kind(self.join(name))

    def files(self, name: str = "") -> list[str]:
        """Return the paths of all files under the folder `name`, relative to it, sorted."""
        with self.naming(name, "cannot be listed"):
            return self._files.files(self.join(name))

    def missing(self, name: str, files: Sequence[str]) -> list[str]:
        """Return those of `files`, which should be under the folder `name`, that are not there."""
        with self.naming(name, "cannot be listed"):
            return self._files.missing(self.join(name), files)

    def names(self, name: str = "") -> list[str]:
        """Return the names of what lies directly in the folder `name`, sorted."""
        with self.naming(name, "cannot be listed"):
            return self._files.names(self.join(name))

    def image_names(self) -> list[str]:
        """Return the ids of all images that have a store, complete or not, sorted by folder."""
        found, folders = [], [""]
        while folders:
            inside = folders.pop()
            for name in self.names(f"{IMAGES}/{inside}".rstrip("/")):
                if name.endswith(_SUFFIX):
                    found.append(f"{inside}{name.removesuffix(_SUFFIX)}")
                elif self.is_folder(f"{IMAGES}/{inside}{name}"):
                    folders.append(f"{inside}{name}/")
        return found

    def delete(self, name: str) -> None:
        """Delete the file or folder `name`, if there is one; of a zarr store its mark first.

        A reader in the middle of it must not take what is left for a whole store.
        """
        with self.naming(name, "cannot be deleted"):
            self._files.delete(self.join(name), METADATA)

    def sweep(self, name: str = "") -> list[str]:
        """Delete the temporary files directly in the folder `name`; returns their names.

        They are what a killed writer leaves: no other may be writing there.
        """
        left = [file for file in self.names(name) if file.endswith(PARTIAL)]
        for file in left:
            self.delete(f"{name}/{file}" if name else file)
        return left

    def sync(self, *names: str) -> None:
        """Return once every file and folder under each of `names` is on the disk.

        An object store keeps what it acknowledged, so there is nothing to do there.

        Raises
        ------
        ResultError
            If the disk refuses.
        """
        if self.folder is None or not names:
            return
        with self.naming(names[0] if len(names) == 1 else "", "cannot be synced to disk"):
            sync_under(map(self.join, names))

    def zarr(self, name: str) -> "ZarrStore":
        """Return the zarr store at `name`, to be read."""
        from zarr.storage import FsspecStore, LocalStore  # a run that only writes needs no zarr

        path, options = self.join(name), dict(self.storage_options)
        if self.folder is not None:
            return LocalStore(path, read_only=True)
        with explained(path, options):
            return FsspecStore.from_url(path, storage_options=options, read_only=True)

    # -- errors ---------------------------------------------------------------------------------

    @contextmanager
    def naming(self, name: str, what: str, *, may_pass: bool = False) -> Iterator[None]:
        """Turn the failures of files into a `ResultError` that names path and cause.

        With `may_pass`, a failure that may be gone at the next attempt stays an `OSError`,
        which engines try again.
        """
        try:
            yield
        except OSError as error:
            if may_pass and is_transient(error):
                raise
            hint = _LASTING.get(error.errno or 0)
            if self.folder is None and isinstance(error, PermissionError):
                hint = "check the keys in results.storage_options, or in the environment"
            cause = error.strerror or str(error) or type(error).__name__
            raise ResultError(
                f"{self.join(name)}: {what}: {cause}" + (f"; {hint}" if hint else "")
            ) from error
