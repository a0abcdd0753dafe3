"""What this machine has: cores and free memory, with the limits of a container or a batch job."""

from pathlib import Path

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
