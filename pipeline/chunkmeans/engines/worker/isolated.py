"""The isolated process: runs one item that is suspected of killing its worker.

Dask counts a worker's death against every task that waited on that worker. To find the one that
did it, each suspect runs in a process that no other item shares. Of a bundle that kills, the parts
are tried one by one, so that the error names the one at fault.
"""

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, cast

import psutil

from chunkmeans.engines.base import (
    ItemT,
    Outcome,
    OutOfMemory,
    OutOfTime,
    ValueT,
    WorkerKilled,
    bundle_parts,
    describe_item,
)
from chunkmeans.engines.machine import resident
from chunkmeans.engines.worker.attempt import attempt
from chunkmeans.engines.worker.deadline import expendable

_KILLED = (WorkerKilled, OutOfMemory)
"""Not `OutOfTime`, whose text says already which part took too long."""
_TICK = 0.05
"""Seconds between two measurements of the process's memory."""
_STUCK = "stuck"
"""Name of the file in which the interpreter's timer leaves a line where there is no report."""


def run_isolated(
    task: Callable[[ItemT], ValueT], item: ItemT, memory: int
) -> Outcome[ItemT, ValueT]:
    """Run `attempt` in a new process that may use `memory` bytes, and return its outcome.

    A process that dies, or is ended because it takes more memory or time than it may, is an
    outcome of `WorkerKilled` that says which. The process ends with this one. An item that is a
    tuple is a bundle: where a part of it kills its process too, the outcome names that part.
    """
    outcome = _run_one(task, item, memory)
    parts = bundle_parts(item)
    if len(parts) > 1 and type(outcome.error) in _KILLED:
        for part in parts:
            one: Outcome[Any, Any] = _run_one(task, (part,), memory)
            if type(one.error) in _KILLED:
                return replace(outcome, error=one.error)
    return outcome


def _run_one(task: Callable[[ItemT], ValueT], item: ItemT, memory: int) -> Outcome[ItemT, ValueT]:
    start = perf_counter()
    with TemporaryDirectory(prefix="chunkmeans-") as folder:
        given, made, stuck = (Path(folder, name) for name in ("given", "made", _STUCK))
        given.write_bytes(_dumps((task, item)))
        process = subprocess.Popen(
            [sys.executable, "-m", "chunkmeans.engines.worker.isolated", str(given), str(made)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with process:  # leaving closes its stdin, which ends it
            kind, end = _wait(process, memory)
        if made.exists():
            return cast("Outcome[ItemT, ValueT]", pickle.loads(made.read_bytes()))
        if stuck.exists() and stuck.stat().st_size:
            kind, end = OutOfTime, "did not come back in time (images.limits.seconds)"
    killed = kind(f"{describe_item(item)}: even in an isolated process, it {end}")
    return Outcome(item, None, killed, 1, perf_counter() - start)


def _dumps(thing: object) -> bytes:
    """Pickle as Dask does; Dask, half of the time of a start, is imported only where it must be."""
    try:
        pickled = pickle.dumps(thing)
        if b"__main__" not in pickled:
            return pickled
    except Exception:  # a function of a notebook, which Dask sends by value, or nothing it can send
        pass
    from distributed.protocol.pickle import dumps

    return cast("bytes", dumps(thing))


def _wait(process: "subprocess.Popen[bytes]", memory: int) -> tuple[type[WorkerKilled], str]:
    """Wait for `process` to end, and return how it ended; end it if it takes more than `memory`."""
    measured = psutil.Process(process.pid)
    while True:
        try:
            code = process.wait(_TICK)
        except subprocess.TimeoutExpired:
            taken = resident(measured)
            if taken > memory:
                process.kill()
                process.wait()
                return OutOfMemory, (
                    f"took {taken / 2**20:.0f} MiB where {memory / 2**20:.0f} MiB are allowed; "
                    "raise `memory`, or cut the work into smaller chunks"
                )
            continue
        if code >= 0:
            return WorkerKilled, f"ended with status {code}"
        if -code == signal.SIGKILL:
            return OutOfMemory, "was killed by SIGKILL, likely for want of memory"
        name = signal.Signals(-code).name
        return WorkerKilled, f"was killed by {name} (signal {-code}), likely a crash of its decoder"


def _end_with_parent() -> None:
    """End this process when the other end of its stdin is closed."""
    os.read(0, 1)  # not sys.stdin, whose lock would be missed when Python ends
    os._exit(1)


def run_files(given: str, made: str) -> None:
    """Run the task in the file `given` and write its outcome to `made`, whole or not at all."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    task, item = pickle.loads(Path(given).read_bytes())
    begin = perf_counter()

    def write(outcome: Outcome[Any, Any]) -> None:
        unfinished = Path(made + ".partial")
        unfinished.write_bytes(_dumps(outcome))
        unfinished.replace(made)

    def report(error: OutOfTime) -> None:
        write(Outcome(item, None, error, 1, perf_counter() - begin))

    with Path(made).with_name(_STUCK).open("w") as trace, expendable(report, trace):
        write(attempt(task, item))


if __name__ == "__main__":
    run_files(*sys.argv[1:])
