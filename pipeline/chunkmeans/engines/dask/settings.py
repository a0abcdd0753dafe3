"""Dask's settings, and those of new processes, while an engine is open.

Dask's settings are global. They are changed when the first engine opens and put back when the
last one closes, so that a user's own Dask keeps its settings.
"""

import logging
import multiprocessing.spawn as spawn
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import Any

import dask
from distributed.utils import silence_logging_cmgr

from chunkmeans.errors import ConfigError
from chunkmeans.secrets import is_secret

_ENVIRON = "distributed.nanny.pre-spawn-environ."

SETTINGS: dict[str, Any] = {
    "distributed.deploy.lost-worker-timeout": "60s",  # 15: a busy machine starts none in that time
    "distributed.comm.retry.count": 3,  # 0: a lost packet is a lost worker
    "distributed.scheduler.no-workers-timeout": "300s",  # none: waits for ever
    "distributed.scheduler.worker-ttl": "30 minutes",  # 5: a decoder that holds the GIL is "dead"
    "distributed.scheduler.allowed-failures": 2,  # then the task runs in an isolated process
    "distributed.scheduler.unknown-task-duration": "10s",
    "distributed.worker.memory.target": False,  # memory is planned: nothing is spilled to disk,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,  # and a paused worker may never wake up
    "distributed.worker.memory.terminate": 0.95,
    "distributed.worker.profile.enabled": False,  # looks at stacks 100 times a second, keeps hours
    "distributed.worker.multiprocessing-method": "spawn",
    **{f"{_ENVIRON}{name}_NUM_THREADS": 1 for name in ("NUMBA", "OMP", "MKL", "OPENBLAS")},
    "distributed.admin.large-graph-warning-threshold": "1GB",  # a look-up table is no graph
}
"""Dask's settings while an engine is open, where its defaults would hang, spill or give up."""

_WORKER = "Dask Worker process (from Nanny)"
"""The name that Dask gives to the processes of its workers."""

_lock = Lock()
_users = 0
_restore = ExitStack()


@contextmanager
def configured(more: Mapping[str, Any]) -> Iterator[None]:
    """Apply `SETTINGS` while this is open, and `more`; several may overlap in any order."""
    global _users
    with _lock:
        if _users == 0:
            _restore.enter_context(dask.config.set(SETTINGS))
            # errors are reported once, by an outcome or an exception
            _restore.enter_context(silence_logging_cmgr(logging.CRITICAL))
            _restore.callback(setattr, spawn, "get_preparation_data", _prepare)
            spawn.get_preparation_data = _without_main
        _users += 1
    try:
        with dask.config.set(more):
            yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _restore.close()


def refuse_flat_settings(asked: Mapping[str, Any]) -> None:
    """Refuse a value in place of a whole section of Dask's settings, which would be lost."""
    for name, value in _flat(asked).items():
        if isinstance(dask.config.get(name, None), Mapping):
            raise ConfigError(
                f"cluster.dask_config.{name}: is a section of Dask's settings, found {value!r}; "
                "give its keys"
            )


def environment(more: Mapping[str, Any]) -> dict[str, str]:
    """Return variables by which workers that are started elsewhere have our settings, and `more`.

    In words, and what concerns workers only: Dask's own way is to hand over all that a user ever
    set, in which secrets may be.

    Raises
    ------
    ConfigError
        If a variable of `more` looks like a secret: job scripts are read by others.
    """
    found: dict[str, str] = {}
    for key, value in {**SETTINGS, **_flat(more)}.items():
        if key.startswith(_ENVIRON):
            name = key.removeprefix(_ENVIRON)
            if is_secret(name):
                raise ConfigError(
                    f"cluster.dask_config: {name} looks like a secret, and would stand in clear in "
                    "what starts the workers; give it to them by the means of your site (a "
                    "profile, a role, a file that only you may read, a secret of Kubernetes)"
                )
            found[name] = str(value)
        elif key.startswith(("distributed.worker.", "distributed.comm.")):
            found["DASK_" + key.upper().replace(".", "__").replace("-", "_")] = str(value)
    return found


def _flat(nested: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return nested settings by their full names."""
    found: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{above}{key}.")
        else:
            found[f"{above}{key}"] = value
    return found


_prepare = spawn.get_preparation_data


def _without_main(name: str) -> dict[str, Any]:
    """Prepare a new process as ever, but do not let a worker run the user's script again.

    A spawned process imports the main module. A script without an ``if __name__ == "__main__"``
    would start its run anew in every worker, and one read from standard input does not exist.
    Workers need nothing of it: Dask sends a main module's functions by value.
    """
    data: dict[str, Any] = _prepare(name)
    if name == _WORKER:
        data.pop("init_main_from_name", None)
        data.pop("init_main_from_path", None)
    return data
