# mypy: disable-error-code="no-untyped-call, misc, unused-ignore"
"""How loops are compiled, and where their machine code is cached.

numba caches what it compiled, and loads it while the file of that very function is the same,
whatever the functions that it calls in other files. Here machine code is stamped with the text of
all modules of this folder, so that a change of any of them is a change of all.

It is cached in the first of these places that can be written to: ``NUMBA_CACHE_DIR``;
``__pycache__`` beside the module; the user's cache (``~/.cache/numba``), as where the package is
installed read only; a folder of the user's own below the system's temporary one. Failing all, it is
compiled in each process.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from numba import njit, types
from numba.core import caching
from numba.core.ccallback import CFunc
from numba.core.cgutils import create_struct_proxy
from numba.core.typing.templates import signature
from numba.extending import intrinsic

HERE = Path(__file__).parent


@cache
def source_stamp(file: str = __file__) -> str:
    """Return what changes whenever a module of this package does, or the `file` of a loop."""
    text = hashlib.sha256()
    for path in sorted({*HERE.glob("*.py"), Path(file)}):
        text.update(path.read_bytes())
    return text.hexdigest()


class _Stamped:
    """A place whose contents are stale when any module of this package has changed."""

    _py_file: str

    def get_source_stamp(self) -> str:
        return source_stamp(self._py_file)


class _Given(_Stamped, caching.UserProvidedCacheLocator):
    pass


class _Beside(_Stamped, caching.InTreeCacheLocator):
    pass


class _OfUser(_Stamped, caching.UserWideCacheLocator):
    pass


class _Temporary(_Stamped, caching.UserWideCacheLocator):
    """A folder that only this user can write to: what lies in it is run."""

    def __init__(self, py_func: Any, py_file: str) -> None:
        super().__init__(py_func, py_file)
        own = Path(tempfile.gettempdir()) / f"chunkmeans-{os.getuid()}"
        self._cache_path = str(own / self.get_suitable_cache_subpath(py_file))

    def ensure_cache_path(self) -> None:
        own = Path(self._cache_path).parent
        own.mkdir(mode=0o700, exist_ok=True)
        found = own.lstat()
        if found.st_uid != os.getuid() or found.st_mode & 0o170077 != 0o040000:
            raise PermissionError(f"{own} is not a folder of this user alone")
        super().ensure_cache_path()


class _Kept(caching.CompileResultCacheImpl):
    _locator_classes: list[type[object]] = [_Given, _Beside, _OfUser, _Temporary]  # noqa: RUF012


class _Cache(caching.FunctionCache):
    _impl_class = _Kept

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        # numba unpickles an index before it compares stamps, and one of another version of this
        # package may name classes that are gone; what is written before it, it compares first
        file = self._cache_file
        file._version = f"{file._version} {file._source_stamp}"


def compiled(function: Any = None, **options: Any) -> Any:
    """Compile a function on its first call; it runs without the GIL."""
    if function is None:
        return lambda given: compiled(given, **options)
    return _kept(njit(nogil=True, **options)(function), function)


def _kept(made: Any, function: Any) -> Any:
    """Let numba keep what it compiles of a function, where there is a place for it."""
    with suppress(RuntimeError):  # there is none
        made._cache = _Cache(function)  # as `enable_caching` does with numba's own
    return made


class Step:
    """A compiled function that loops call by its address.

    What a loop calls by name, numba compiles again as a part of the loop: half of all time. Of a
    step a loop needs to know no more than the types, `signature`. Compiled, or loaded, when its
    address is asked for.

    An error in a step would be lost, as C knows none. So a step allocates nothing: what room it
    needs is given to it.
    """

    def __init__(self, function: Any, signature: Any) -> None:
        self.function = function
        self.signature = signature

    @cached_property
    def made(self) -> CFunc:
        """The compiled function; its address holds as long as this does."""
        made = CFunc(self.function, (self.signature.args, self.signature.return_type), {}, {})
        _kept(made, self.function).compile()
        return made

    @property
    def at(self) -> Any:
        """For compiled code: make a function of its address."""
        kind = types.FunctionType(self.signature)

        @intrinsic
        def function_at(context: Any, address: Any) -> Any:
            def make(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                made = create_struct_proxy(kind)(context, builder)
                pointer = context.get_value_type(types.voidptr)
                made.c_addr = builder.inttoptr(args[0], pointer)
                made.py_addr = made.jit_addr = pointer(None)
                return made._getvalue()

            return kind(types.int64), make

        return function_at


def step(result: Any, *arguments: Any) -> Callable[[Any], Step]:
    """Make a function a `Step` that takes and returns these types."""
    return lambda function: Step(function, signature(result, *arguments))


def array(of: Any, ndim: int = 1, *, read: bool = False) -> Any:
    """Return the type of an array in C order, as `raw.read` gives it if it is only read."""
    return types.Array(of, ndim, "C", readonly=read)
