"""What a run costs as it grows: memory of scheduler and driver, time per chunk.

``python -m tests.benchmarks.scale --chunks 1000,10000,100000`` works on an image whose pixels are
computed, not decoded, in chunks so small that what a chunk costs is all there is. Scheduler,
workers and driver are processes of their own, and new ones for every number of chunks.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from json import loads
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import monotonic, perf_counter, sleep

import numpy as np
import psutil
from chunkmeans.config.models import Results
from chunkmeans.engines.base import Engine
from chunkmeans.engines.serial import SerialEngine
from chunkmeans.image.grid import Box
from chunkmeans.image.info import ImageInfo, Pixels
from chunkmeans.kmeans.fit import FitSettings
from chunkmeans.results.store.store import Store
from chunkmeans.results.write.complete import complete
from chunkmeans.sources.base import Image, ReadOptions
from chunkmeans.steps.chunk import Input, open_input
from chunkmeans.steps.job import Job, LabelOutput, Opened
from chunkmeans.steps.plan.memory import cut
from chunkmeans.steps.segment.collect import collect
from chunkmeans.steps.segment.one_image import segment_image
from chunkmeans.steps.segment.scan import Scan

from tests.support.engines import open_engine

ROOT = Path(__file__).parents[2]
EDGE = 64
"""Pixels along each edge of a chunk."""
WARM = 500
"""Chunks of a first job, unmeasured: imports, compiled loops, logs of fixed length."""
INTERVAL = 0.05
"""Seconds between two looks at the memory."""
START = 60.0
"""Seconds that a scheduler may take to start."""
MEMORY = 2**30
"""Bytes that a worker may use."""


class Computed(Image):
    """A grey image that is a function of the coordinates. Its path is its shape: ``640x640``."""

    def describe(self) -> ImageInfo:
        shape = tuple(map(int, self.path.split("x")))
        return ImageInfo("yx", shape, 1, np.dtype(np.uint8), (EDGE, EDGE))

    def decode(self, box: Box, channels: Sequence[int]) -> Pixels:
        rows, columns = (np.arange(a, b) for a, b in zip(box.start, box.stop, strict=True))
        values = (rows[:, None] * 7 + columns[None, :] * 3) % 251
        return Pixels(values.astype(np.uint8)[..., None])

    def fingerprint(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class Figures:
    """What a number of chunks cost."""

    chunks: int
    scheduler: int
    """Bytes by which the scheduler's resident memory grew at the most."""
    driver: int
    """The same of the driver."""
    wall: float
    """Seconds per chunk by the clock."""
    cpu: float
    """Seconds per chunk of processor, of all processes together: it bears other load better."""
    scheduling: float
    """Of it, the scheduler's."""

    def __str__(self) -> str:
        return (
            f"{self.chunks:>8,} chunks: scheduler {self.scheduler / 2**20:+6.1f} MiB, driver "
            f"{self.driver / 2**20:+6.1f} MiB, {1000 * self.wall:.2f} ms per chunk "
            f"({1000 * self.cpu:.2f} ms of processor, {1000 * self.scheduling:.2f} of them the "
            "scheduler's)"
        )


def tasks(engine: Engine, count: int) -> None:
    """Collect an image's samples with a task per chunk, as a pass without bundles."""
    source = image_of(count)
    bundles = [(chunk,) for chunk in cut(source, (EDGE, EDGE), 0, source.id)]
    collected = collect(Scan(engine, source.id, bundles))
    engine.release(source.id)
    if len(bundles) != count or collected.pixels != source.info.pixels:
        raise RuntimeError(f"{collected.pixels} of {source.info.pixels} pixels were collected")


def image(engine: Engine, count: int) -> None:
    """Segment an image from its plan to its finished store, bundled as ever."""
    source = image_of(count)
    with TemporaryDirectory() as folder:
        asked = Results(path=folder, chunk=EDGE, shard=EDGE, pyramid="none")
        output = LabelOutput(Store(folder), asked)
        job = Job(source.id, "", None, ReadOptions(), None, FitSettings(k=3), output)
        ending = segment_image(Opened(job, source), engine)
        row, mark = ending.row, ending.mark
        complete(output.store, [mark] if mark else [])
    if row.state != "done" or row.pixels != source.info.pixels:
        raise RuntimeError(f"{row.state}, {row.pixels} of {source.info.pixels} pixels")


Work = Callable[[Engine, int], None]
WORK: Mapping[str, Work] = {"tasks": tasks, "image": image}


def image_of(count: int) -> Input:
    """Return an image of `count` chunks, about as high as wide."""
    rows = next(n for n in range(int(count**0.5), 0, -1) if count % n == 0)
    return open_input("computed", Computed(f"{rows * EDGE}x{count // rows * EDGE}"))


def measure(work: Work, count: int, workers: int = 2, warm: int = WARM) -> Figures:
    """Do the work on that many chunks, on a cluster of its own, and return what it cost."""
    with cluster(workers) as (engine, processes):
        work(SerialEngine(memory=MEMORY), 16)  # what this process needs of compiled loops
        work(engine, warm)
        scheduler, driver = processes[0], psutil.Process()
        every = (driver, *processes)
        before = {process: seconds_of(process) for process in every}
        begin = perf_counter()
        with Growth(scheduler) as of_scheduler, Growth(driver) as of_driver:
            work(engine, count)
        wall = perf_counter() - begin
        took = {process: seconds_of(process) - before[process] for process in every}
    return Figures(
        count,
        of_scheduler.nbytes,
        of_driver.nbytes,
        wall / count,
        sum(took.values()) / count,
        took[scheduler] / count,
    )


@contextmanager
def cluster(workers: int) -> Iterator[tuple[Engine, list[psutil.Process]]]:
    """Give an engine, and the processes of its scheduler (first) and its workers."""
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        file = Path(folder, "scheduler.json")
        local = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        started = [started_on(stack, "scheduler", *local, "--scheduler-file", str(file))]
        end = monotonic() + START
        while not (file.exists() and file.read_text().endswith("\n}")):  # else it is half written
            if monotonic() > end:
                raise RuntimeError(f"no scheduler after {START:g} seconds")
            sleep(0.05)
        address = loads(file.read_text())["address"]
        how = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", folder]
        started += [started_on(stack, "worker", address, *how) for _ in range(workers)]
        options = {"address": address}
        with open_engine("address", options, memory=MEMORY) as first:
            while first._connection.check(monotonic()) and len(first._connection.threads) < workers:
                sleep(0.05)
        engine = stack.enter_context(open_engine("address", options, memory=MEMORY))
        yield engine, started


def started_on(stack: ExitStack, kind: str, *arguments: str) -> psutil.Process:
    """Start a part of a Dask cluster, which ends with `stack`."""
    process = stack.enter_context(
        subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    )
    stack.callback(process.terminate)
    return psutil.Process(process.pid)


def seconds_of(process: psutil.Process) -> float:
    """Return the processor time of a process so far, seconds."""
    times = process.cpu_times()
    return float(times.user + times.system)


class Growth(Thread):
    """By how much a process's resident memory grows at the most, while this is entered."""

    def __init__(self, process: psutil.Process) -> None:
        super().__init__(daemon=True)
        self.process = process
        self.before = self.most = int(process.memory_info().rss)
        self.done = Event()

    @property
    def nbytes(self) -> int:
        return self.most - self.before

    def run(self) -> None:
        while not self.done.wait(INTERVAL):
            self.most = max(self.most, int(self.process.memory_info().rss))

    def __enter__(self) -> "Growth":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.join()


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures for every number of chunks that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale", description=__doc__)
    parser.add_argument("--chunks", default="1000,10000,100000", help="numbers of chunks")
    parser.add_argument("--work", choices=WORK, default="tasks", help="what is done with them")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args(arguments)
    print(f"{asked.work}: {WORK[asked.work].__doc__}", flush=True)
    for count in map(int, asked.chunks.split(",")):
        print(measure(WORK[asked.work], count, asked.workers), flush=True)


if __name__ == "__main__":
    # what is sent to workers must not be of a module named __main__
    from tests.benchmarks import scale

    scale.main()
