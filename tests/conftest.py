"""What holds for all tests: how many examples are drawn, and that each loop is compiled once."""

import fcntl
import os
import signal
from contextlib import ExitStack
from functools import wraps
from pathlib import Path

import pytest
from chunkmeans.engines.machine import cores
from hypothesis import HealthCheck, settings

from tests.support.places import PYTHONPATH

# Programs that tests start import the same files, wherever else the package is installed.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [PYTHONPATH, os.environ.get("PYTHONPATH")]))

# ``HYPOTHESIS_PROFILE=ci`` draws more examples, and the same ones every time. No example has a
# deadline: what else the machine does is no fault of the code.
settings.register_profile(
    "default", max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "ci",
    max_examples=200,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_configure(config: pytest.Config) -> None:
    """Wait for no disk, and compile each loop in one process at a time: the others load it.

    Otherwise every process of pytest-xdist compiles all loops for itself at the start, as none
    finds them in numba's cache.
    """
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        return  # this process runs no tests
    # Nothing here pulls the plug, and half of a test's time would be waiting for the disk. That the
    # program asks for it, and in which order, is tested by calls of this name.
    os.fsync = lambda handle: os.fstat(handle) and None
    from numba.core.ccallback import CFunc
    from numba.core.dispatcher import Dispatcher

    Dispatcher.compile = _one_at_a_time(Dispatcher.compile)
    CFunc.compile = _one_at_a_time(CFunc.compile)


def pytest_xdist_auto_num_workers() -> int:
    """Half again as many processes as processors: tests wait for deadlines and for workers."""
    return 3 * cores() // 2


@pytest.fixture
def foreground():
    """Requests to end are as in a shell's foreground, here and in what the test starts.

    A shell's background ignores SIGINT, ``nohup`` SIGHUP, and what they start inherits that.
    """
    usual = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _one_at_a_time(compile):
    """Hold a lock between processes, per function, while it is looked up or compiled.

    Locks are taken in the order of calls, callers first, so that no two processes wait for each
    other; numba's own lock comes first for the same reason between threads.
    """
    from numba.core.compiler_lock import global_compiler_lock

    held = set()

    @wraps(compile)
    def locked(self, *args):
        with global_compiler_lock, ExitStack() as stack:
            index = getattr(getattr(self._cache, "_cache_file", None), "_index_path", None)
            if index is not None and index not in held:
                path = Path(f"{index}.lock")
                path.parent.mkdir(parents=True, exist_ok=True)
                fcntl.flock(stack.enter_context(path.open("w")), fcntl.LOCK_EX)
                held.add(index)
                stack.callback(held.discard, index)
            return compile(self, *args)

    return locked
