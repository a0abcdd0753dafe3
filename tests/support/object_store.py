"""An object store in memory that tells of every request, before it is done and after.

It knows what the simplest store knows: put a whole object, get a range of one, list, delete. There
is no folder, and nothing can be appended to, renamed or locked. It remembers nothing of what it
listed. Its URLs begin with ``told://``.
"""

import fsspec
from fsspec import AbstractFileSystem
from fsspec.spec import AbstractBufferedFile

OBJECTS = {}
"""Bytes by path."""


class Told(AbstractFileSystem):
    """The store; `tell` is called with ``before`` or ``after``, a request, a path and bytes."""

    protocol = "told"
    tell = None

    def request(self, name, path, act, nbytes=len):
        """Do one request, and tell of it."""
        if Told.tell is None:
            return act()
        Told.tell("before", name, path, 0)
        try:
            result = act()
        except OSError:
            Told.tell("after", name, path, 0)
            raise
        Told.tell("after", name, path, nbytes(result) if result is not None else 0)
        return result

    # -- looking ----------------------------------------------------------------------------------

    def info(self, path, **kwargs):
        path = self._strip_protocol(path)
        return self.request("head", path, lambda: self._entry(path))

    def ls(self, path, detail=True, **kwargs):
        path = self._strip_protocol(path)
        found = self.request("list", path, lambda: self._listed(path))
        return found if detail else sorted(entry["name"] for entry in found)

    def find(self, path, maxdepth=None, withdirs=False, detail=False, **kwargs):
        if maxdepth is not None or withdirs:
            return super().find(path, maxdepth, withdirs, detail, **kwargs)
        path = self._strip_protocol(path)
        found = self.request("list", path, lambda: self._below(path) or self._itself(path))
        return {name: self._entry(name) for name in found} if detail else found

    def _itself(self, path):
        return [path] if path in OBJECTS else []

    def _below(self, path):
        return sorted(name for name in OBJECTS if name.startswith(f"{path}/"))

    def _entry(self, path):
        if path in OBJECTS:
            data = OBJECTS[path]
            tag = f"{hash(data):x}"
            return {"name": path, "size": len(data), "type": "file", "ETag": tag}
        if self._below(path):
            return {"name": path, "size": 0, "type": "directory"}
        raise FileNotFoundError(path)

    def _listed(self, path):
        names = {name[len(path) + 1 :].partition("/")[0] for name in self._below(path)}
        if not names and path not in OBJECTS:
            raise FileNotFoundError(path)
        return [self._entry(f"{path}/{name}") for name in sorted(names)] or [self._entry(path)]

    # -- reading and writing ----------------------------------------------------------------------

    def cat_file(self, path, start=None, end=None, **kwargs):
        path = self._strip_protocol(path)

        def got():
            if path not in OBJECTS:
                raise FileNotFoundError(path)
            return OBJECTS[path][start:end]

        return self.request("get", path, got)

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        path = self._strip_protocol(path)

        def put():
            if mode == "create" and path in OBJECTS:
                raise FileExistsError(path)
            OBJECTS[path] = bytes(value)

        self.request("put", path, put)

    def put_file(self, lpath, rpath, **kwargs):
        with open(lpath, "rb") as file:
            self.pipe_file(rpath, file.read())

    def rm_file(self, path):
        path = self._strip_protocol(path)
        self.request("delete", path, lambda: OBJECTS.pop(path, None), lambda _: 0)

    def rm(self, path, recursive=False, maxdepth=None):
        path = self._strip_protocol(path)

        def gone():
            found = self._below(path) or self._itself(path)
            if not found:
                raise FileNotFoundError(path)
            for name in found:
                del OBJECTS[name]

        self.request("delete", path, gone)

    def _open(self, path, mode="rb", **kwargs):
        if mode != "rb":
            raise NotImplementedError(f"objects are put whole: {mode!r} of {path}")
        return _Reader(self, path, mode, **kwargs)

    def mv(self, *args, **kwargs):
        raise NotImplementedError("objects cannot be renamed")

    cp_file = copy = rename = move = mv


class _Reader(AbstractBufferedFile):
    def _fetch_range(self, start, end):
        return self.fs.cat_file(self.path, start, end)


fsspec.register_implementation("told", Told, clobber=True)


def put(url, data):
    """Put an object, untold."""
    OBJECTS[Told._strip_protocol(url)] = bytes(data)


def objects(url):
    """Return the objects below a URL, by their names below it."""
    base = Told._strip_protocol(url) + "/"
    return {name.removeprefix(base): OBJECTS[name] for name in OBJECTS if name.startswith(base)}
