"""One process and its descendants, measured from outside: wall time, CPU time, peak memory."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from time import perf_counter

import psutil

INTERVAL = 0.05
"""Seconds between two looks at the memory."""

BUSY = 0.05
"""Part of a core that looking may take: proportional memory of a large process is slow to sum."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a process tree took."""

    wall: float
    """Seconds from its start to its end."""
    cpu: float
    """Seconds of user and system time of all its processes."""
    peak: int
    """Bytes of memory of all its processes at the highest look, shared pages counted once (where
    the system tells, else as often as they are mapped); at least `largest`."""
    largest: int
    """Bytes that the largest of its processes had resident at its highest; between two looks too
    where the system keeps count (not from wait4, where a child begins with its parent's peak)."""
    processes: int
    """Most processes at a time."""
    first: int = 0
    """As `largest`, of the process that was started itself: the driver of a run."""
    other: int = 0
    """As `largest`, of its descendants alone: the workers of a run; 0 if there are none."""


def run(command: Sequence[str], folder: Path, log: Path) -> Measured:
    """Run a command in a folder to its end, its output into `log`, and measure it.

    Raises
    ------
    RuntimeError
        If it fails; with the end of its output.
    """
    with log.open("wb") as out:
        begin = perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
        look = _Look(process.pid)
        look.start()
        try:
            # by wait4, as Popen does not tell what the process used
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()  # interrupted: a contender ends its own children
            process.wait()
            raise
        finally:
            wall = perf_counter() - begin
            look.stop()
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-25:])
        raise RuntimeError(f"{' '.join(command)} exited with {process.returncode}:\n{tail}")
    cpu = max(usage.ru_utime + usage.ru_stime, look.cpu)
    first, other = look.first, look.other
    largest = max(first, other)
    return Measured(wall, cpu, max(look.peak, largest), largest, look.processes, first, other)


class _Look(Thread):
    """Looks at the memory of a process tree until it is stopped."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self.first = self.other = 0
        self.processes = 1
        self._pid = pid
        self._cpu: dict[tuple[int, float], float] = {}
        self._done = Event()

    @property
    def cpu(self) -> float:
        """Seconds of CPU time that were seen, of every process that was seen."""
        return sum(self._cpu.values())

    def stop(self) -> None:
        """End, and wait for the end."""
        self._done.set()
        self.join()

    def run(self) -> None:
        pause = INTERVAL
        try:
            root = psutil.Process(self._pid)
        except psutil.NoSuchProcess:
            return
        while not self._done.wait(pause):
            begin = perf_counter()
            try:
                tree = [root, *root.children(recursive=True)]
            except psutil.Error:
                return
            self._look(tree)
            pause = max(INTERVAL, (perf_counter() - begin) / BUSY)

    def _look(self, tree: list[psutil.Process]) -> None:
        resident = {process: self._resident(process) for process in tree}
        self.processes = max(self.processes, len(tree))
        if sum(resident.values()) <= self.peak:
            return  # shared pages counted once, it is less still
        total = sum(_proportional(process, most) for process, most in resident.items())
        self.peak = max(self.peak, total)

    def _resident(self, process: psutil.Process) -> int:
        try:
            with process.oneshot():
                times = process.cpu_times()
                self._cpu[process.pid, process.create_time()] = times.user + times.system
                resident = int(process.memory_info().rss)
                highest = max(resident, _highest(process.pid))
                if process.pid == self._pid:
                    self.first = max(self.first, highest)
                else:
                    self.other = max(self.other, highest)
                return resident
        except psutil.Error:  # it ended between two looks
            return 0


def _proportional(process: psutil.Process, resident: int) -> int:
    """Return the memory of a process with its part of shared pages; `resident` if unknown."""
    try:
        return int(process.memory_full_info().pss)
    except (psutil.Error, AttributeError):
        return resident


def _highest(pid: int) -> int:
    """Return the most that a process had resident so far, bytes; 0 if the system keeps no count."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    lines = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(lines[0].split()[1]) * 1024 if lines else 0
