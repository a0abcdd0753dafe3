"""What this machine has: cores and free memory, with the limits of a container or a batch job."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic, thread_time
from typing import Self

import psutil

FREE_SHARE = 0.8
"""Part of the free memory that a run may use where the config does not say how much."""

INTERVAL = 0.1
"""Seconds between two measurements of the memory, at least."""
LISTED_EVERY = 1.0
"""Seconds between two searches for new processes, at least: each goes through all there are."""
SAMPLING_SHARE = 0.005
"""Part of a processor that measuring may take, and again that searching may."""

_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
_CPU_QUOTAS = (
    ("/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu.max"),
    ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
)
"""Files of quota and period: of version 2 one with both, of version 1 one for each."""


@cache
def cores() -> int:
    """Processors that this process may use, at least 1: there, allowed, and within its quota.

    As `dask.system.cpu_count` counts them, without the import of Dask, which is a twentieth of a
    second of every start.
    """
    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    for quota, period in _numbers(_CPU_QUOTAS):
        if quota > 0:
            allowed = min(allowed, -(-quota // period))
    return max(1, allowed)


def _numbers(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[int, int]]:
    """Yield the first number of each pair's first file, and the last of its second."""
    for files in pairs:
        try:
            first, last = (Path(name).read_text().split() for name in files)
            yield int(first[0]), int(last[-1])
        except (OSError, ValueError, IndexError):  # no such control group, or "max": no limit
            continue


def free_memory() -> int:
    """Bytes a run may use by default: a share of what is free now."""
    free = int(psutil.virtual_memory().available)
    for limit, used in _numbers(_CGROUPS):
        free = min(free, max(0, limit - used))
    return int(free * FREE_SHARE)


class PeakMemory:
    """Measures the resident memory of this process and all that it started, while it is open.

    Sampled: of a peak between two samples only the part of the largest process is known, and that
    where the system keeps each process's highest (Linux). Pages that processes share count once
    for each of them, so the figure is never too small for that. Sampling takes at
    most `SAMPLING_SHARE` of a processor: where it takes long, it is done less often.
    """

    def __init__(self) -> None:
        self._most = 0
        self._before: dict[psutil.Process, int] = {}
        self._tree: list[psutil.Process] = []
        self._lock = Lock()
        self._done = Event()
        self._thread = Thread(target=self._watch, name="peak memory", daemon=True)

    @property
    def nbytes(self) -> int:
        """Most bytes so far; 0 if it was never open."""
        if self._thread.is_alive():
            self._find_processes()
        return self._most

    def __enter__(self) -> Self:
        self._tree = process_tree()
        self._before = {process: peak_resident(process.pid) for process in self._tree}
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._find_processes()
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        pause, listed = INTERVAL, monotonic()
        unlisted = LISTED_EVERY
        while not self._done.wait(pause):
            pause = max(INTERVAL, _cost(self._sample) / SAMPLING_SHARE)
            if monotonic() - listed >= unlisted:
                unlisted = max(LISTED_EVERY, _cost(self._find_processes) / SAMPLING_SHARE)
                listed = monotonic()

    def _sample(self) -> None:
        """Add up what the known processes have now."""
        with self._lock:
            self._most = max(self._most, sum(map(resident, self._tree)))

    def _find_processes(self) -> None:
        """Find processes that are new, and ask each for its highest since this was opened."""
        with self._lock:
            self._tree = process_tree()
            for process in self._tree:
                most = peak_resident(process.pid)
                if most > self._before.get(process, 0):
                    self._most = max(self._most, most)
        self._sample()


def process_tree() -> list[psutil.Process]:
    """Return this process and all that it started, directly or not. Reads of every process."""
    here = psutil.Process()
    return [here, *here.children(recursive=True)]


def peak_resident(pid: int) -> int:
    """Return the most bytes a process had resident so far; 0 where the system does not count."""
    try:
        status = Path(f"/proc/{pid}/status").read_bytes()
    except OSError:  # no such process any more, or no such file system
        return 0
    _, found, rest = status.partition(b"VmHWM:")
    return int(rest.split(maxsplit=1)[0]) * 1024 if found else 0


def resident(process: psutil.Process) -> int:
    """Return the bytes that a process has resident; 0 if it ended."""
    try:
        return int(process.memory_info().rss)
    except psutil.Error:  # ended since it was listed
        return 0


def _cost(work: Callable[[], object]) -> float:
    """Do `work`, and return the seconds of processor time that it took."""
    begin = thread_time()
    work()
    return thread_time() - begin
