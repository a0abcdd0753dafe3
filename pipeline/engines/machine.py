"""What this machine has: cores and free memory, with the limits of a container or a batch job."""

from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Self

import psutil
from dask.system import CPU_COUNT

SHARE = 0.8
"""Part of the free memory that a run takes where nobody says how much it may."""

_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def cores() -> int:
    """Processors that this process may use, at least 1."""
    return max(1, int(CPU_COUNT))


def free_memory() -> int:
    """Bytes a run may take without being told: a share of what is free now."""
    free = int(psutil.virtual_memory().available)
    for limit, used in _CGROUPS:
        try:
            free = min(free, max(0, int(Path(limit).read_text()) - int(Path(used).read_text())))
        except (OSError, ValueError):  # no such control group, or "max": no limit
            continue
    return int(free * SHARE)


class PeakMemory:
    """Measures the resident memory of this process and its children while it is open.

    Sampled, so a peak shorter than `interval` seconds may be missed.
    """

    def __init__(self, interval: float = 0.1) -> None:
        self.nbytes = 0
        """Most bytes seen so far."""
        self._interval = interval
        self._done = Event()
        self._thread = Thread(target=self._watch, name="peak memory", daemon=True)

    def __enter__(self) -> Self:
        self.nbytes = resident()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(self._interval):
            self.nbytes = max(self.nbytes, resident())


def resident() -> int:
    """Return the resident bytes of this process and all that it started."""
    total = 0
    here = psutil.Process()
    for process in [here, *here.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):  # ended since it was listed
            total += int(process.memory_info().rss)
    return total
