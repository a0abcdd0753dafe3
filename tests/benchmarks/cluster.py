"""What a cluster costs beside the work: processor time per chunk, bytes per pass, a lost worker.

``python -m tests.benchmarks --case cluster`` goes over the pixels of an image again and again, as
iterations do where pixels hardly repeat, a task per chunk. Pixels are computed and held, so that a
pass is quick and what is left is the cluster's. Scheduler, workers and driver are processes of
their own, and, where network namespaces can be made (as root), on hosts of their own, whose network
devices tell what is sent.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic, perf_counter
from typing import Any

import numpy as np
import psutil
from chunkmeans.engines.base import Engine
from chunkmeans.engines.serial import SerialEngine
from chunkmeans.events import Advanced, Event, ignore
from chunkmeans.image.grid import Box
from chunkmeans.image.info import ImageInfo, Pixels
from chunkmeans.kmeans.metric import Metric
from chunkmeans.sources.base import Image
from chunkmeans.steps.chunk import open_input
from chunkmeans.steps.plan.memory import cut
from chunkmeans.steps.segment.iterate import ChunkPixels
from chunkmeans.steps.segment.scan import Scan

from tests.benchmarks.report import commit, machine, package_versions
from tests.benchmarks.scale import seconds_of
from tests.cluster.hosts import Host, Network, NoNamespaces
from tests.cluster.processes import LOOPBACK, ROOT, Site
from tests.support.engines import open_engine

EDGE = 256
"""Pixels along each edge of a chunk."""
CHUNKS = 200
CHANNELS, MEANS = 4, 8
HOLD = 2**30
WARM = 4
"""Passes before any is measured: pixels are held, and trees of them made."""
PASSES = 10
"""Passes that are measured."""
KILLS = 3
AFTER = 5
"""Passes after a killed worker was replaced, until everything is as before."""
LONGEST = 1800.0
"""Seconds that a driver may take."""


class Distinct(Image):
    """Four channels of 16 bits that hardly repeat. Its path is its shape: ``640x640``."""

    def describe(self) -> ImageInfo:
        shape = tuple(map(int, self.path.split("x")))
        return ImageInfo("yx", shape, CHANNELS, np.dtype(np.uint16), (EDGE, EDGE))

    def decode(self, box: Box, channels: Sequence[int]) -> Pixels:
        rows, columns = (np.arange(a, b) for a, b in zip(box.start, box.stop, strict=True))
        at = rows[:, None, None] * 40_503 + columns[None, :, None] * 30_011
        values = at * (1 + 2 * np.array(channels)) + np.array(channels) * 977
        return Pixels(values.astype(np.uint16))

    def fingerprint(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class Asked:
    """What a driver is asked to measure."""

    address: str
    chunks: int
    workers: int
    scheduler: int
    """Its process."""
    nannies: tuple[int, ...]
    """A process on each worker's host."""
    apart: bool
    """Whether all are on hosts of their own."""
    kills: int = KILLS


@dataclass(frozen=True, slots=True)
class Figures:
    """What a number of workers cost; times of a chunk are averages over the measured passes."""

    workers: int
    chunks: int
    wall: float
    """Seconds of a pass: the median."""
    alone: float
    """Processor seconds of a chunk in a single process: the work itself."""
    scheduler: float
    """Processor seconds of a chunk in the scheduler, ..."""
    driver: float
    """... in the driver, ..."""
    worker: float
    """... and in workers, the work included."""
    sent: int | None
    """Bytes of a pass from the driver to the scheduler (None: not measured), ..."""
    received: int | None
    """... back, ..."""
    to_workers: int | None
    """... from the scheduler to workers, ..."""
    from_workers: int | None
    """... back, ..."""
    between: int | None
    """... and from worker to worker."""
    lost: tuple[float, ...]
    """Seconds that each killed worker cost."""


# -- the driver's part ----------------------------------------------------------------------------


def drive(given: str) -> None:
    """Measure what is asked (JSON) and print the figures (JSON)."""
    asked = Asked(**json.loads(given))
    with SerialEngine(memory=2 * HOLD) as engine:
        go = passes(engine, asked.chunks)
        go(WARM)
        alone = cpu_of([os.getpid()], lambda: go(PASSES)) / (PASSES * asked.chunks)
        engine.release("computed")
    with open_engine("address", {"address": asked.address}) as engine:
        engine._connection.await_workers(asked.workers)
        print(json.dumps(asdict(measured(engine, asked, alone))))


def passes(engine: Engine, chunks: int) -> Callable[..., list[float]]:
    """Return what goes over an image of that many chunks, so often; it returns each one's time."""
    rows = next(n for n in range(int(chunks**0.5), 0, -1) if chunks % n == 0)
    source = open_input("computed", Distinct(f"{rows * EDGE}x{chunks // rows * EDGE}"))
    bundles = [(chunk,) for chunk in cut(source, (EDGE, EDGE), HOLD, source.id)]
    means = np.random.default_rng(0).uniform(0, 2**16, (MEANS, CHANNELS))
    told = [ignore]
    scan = Scan(engine, source.id, bundles, lambda event: told[0](event))
    pixels = ChunkPixels(scan, Metric(np.ones(CHANNELS)))

    def go(number: int, watch: Callable[[Event], None] = ignore) -> list[float]:
        told[0], times = watch, []
        for _ in range(number):
            begin = perf_counter()
            if pixels.sums(means).counts.sum() != source.info.pixels:
                raise RuntimeError("pixels are missing")
            times.append(perf_counter() - begin)
        return times

    return go


def measured(engine: Engine, asked: Asked, alone: float) -> Figures:
    """Return the figures of a cluster whose workers are all there."""
    go = passes(engine, asked.chunks)
    go(WARM)
    driver, workers = os.getpid(), worker_pids(engine)
    hosts = (driver, asked.scheduler, *asked.nannies) if asked.apart else ()
    before, begun = [moved(pid) for pid in hosts], cpu_times(driver, asked.scheduler, workers)
    times = go(PASSES)
    took = [b - a for a, b in zip(begun, cpu_times(driver, asked.scheduler, workers), strict=True)]
    bytes_ = traffic([[b - a for a, b in zip(x, moved(pid), strict=True)]
                      for x, pid in zip(before, hosts, strict=True)])  # fmt: skip
    count = PASSES * asked.chunks
    return Figures(
        asked.workers, asked.chunks, median(times), alone, took[1] / count, took[0] / count,
        took[2] / count, *bytes_, tuple(loss(engine, go, asked) for _ in range(asked.kills)),
    )  # fmt: skip


def loss(engine: Engine, go: Callable[..., list[float]], asked: Asked) -> float:
    """Return the seconds by which passes take longer if a worker is killed in the first one.

    Than those right before, until another worker is there, and some passes more.
    """
    usual = median(go(WARM))
    victim, parts = worker_pids(engine)[0], []

    def kill(event: Event) -> None:
        if isinstance(event, Advanced):
            parts.append(event)
            if len(parts) == asked.chunks // 2:
                psutil.Process(victim).kill()

    times = go(1, kill)
    while len(engine._connection.threads) < asked.workers or victim in worker_pids(engine):
        times += go(1)
        engine._connection.check(monotonic())
    times += go(AFTER)
    return sum(times) - len(times) * usual


def worker_pids(engine: Engine) -> list[int]:
    return [pid for _, pid in sorted(engine._connection.client.run(os.getpid).items())]


def cpu_of(pids: Sequence[int], work: Callable[[], object]) -> float:
    """Return the processor time that processes take for some work."""
    before = sum(seconds_of(psutil.Process(pid)) for pid in pids)
    work()
    return sum(seconds_of(psutil.Process(pid)) for pid in pids) - before


def cpu_times(driver: int, scheduler: int, workers: Sequence[int]) -> tuple[float, float, float]:
    first, second, *rest = (seconds_of(psutil.Process(p)) for p in (driver, scheduler, *workers))
    return first, second, sum(rest)


def moved(pid: int) -> tuple[int, int]:
    """Return the bytes that the host of a process received and sent."""
    for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines():
        device, _, numbers = line.partition(":")
        if device.strip() == "eth0":
            counts = numbers.split()
            return int(counts[0]), int(counts[8])
    raise RuntimeError(f"process {pid} has no network device eth0")


def traffic(hosts: Sequence[Sequence[int]]) -> tuple[int | None, ...]:
    """Return `Figures`' bytes of a pass by what driver, scheduler, workers received and sent."""
    if not hosts:
        return (None,) * 5
    (received, sent), scheduler, *workers = hosts
    to_workers, from_workers = scheduler[1] - received, scheduler[0] - sent
    between = sum(w[0] for w in workers) - to_workers
    found = (sent, received, to_workers, from_workers, between)
    return tuple(number // PASSES for number in found)


# -- the part that starts it ----------------------------------------------------------------------


def figures_of(workers: int, chunks: int, kills: int = KILLS) -> Figures:
    """Measure a cluster of that many workers, made for it."""
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        scheduler, driver, *rest = _hosts(stack, 2 + workers)
        site = Site(folder, host=scheduler.address, within=scheduler.within)
        stack.enter_context(site)
        apart = bool(driver.within)
        for host in rest:
            arguments = ("--nthreads", "1")
            site.start_workers(1, *arguments, host=host.address, within=host.within)
        nannies = tuple(nanny.pid for nanny in site.workers)
        asked = Asked(site.address, chunks, workers, site.scheduler.pid, nannies, apart, kills)
        done = subprocess.run(
            [*driver.within, sys.executable, "-c",
             "import sys; from tests.benchmarks.cluster import drive; drive(sys.argv[1])",
             json.dumps(asdict(asked))],
            cwd=ROOT, capture_output=True, text=True, timeout=LONGEST, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"the driver failed: {done.stderr[-2000:]}\n{site.logs()[-2000:]}")
        found = json.loads(done.stdout)
        return Figures(**{**found, "lost": tuple(found["lost"])})


def _hosts(stack: ExitStack, number: int) -> list[Host]:
    """Return hosts of their own, or this one so many times where none can be made."""
    try:
        network = stack.enter_context(Network())
    except NoNamespaces:
        return [_Here()] * number
    return [network.add(f"host{n}") for n in range(number)]


class _Here(Host):
    """This machine as every host."""

    def __init__(self) -> None:
        super().__init__("", LOOPBACK, "")

    @property
    def within(self) -> tuple[str, ...]:
        return ()


HEAD = """\
| workers | a pass | chunk alone | + scheduler | + driver | + workers | driver to scheduler | back \
| scheduler to workers | back | between workers | a killed worker |
|---|---|---|---|---|---|---|---|---|---|---|---|"""


def document(found: Sequence[Figures]) -> dict[str, Any]:
    """Return everything as JSON values."""
    return {
        "case": "cluster",
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": package_versions(),
        "commit": commit(),
        "figures": [asdict(one) for one in found],
    }


def lines(found: Sequence[Figures]) -> list[str]:
    """Return a table; bytes are of a chunk."""
    return [HEAD, *map(_line, found)]


def _line(one: Figures) -> str:
    def ms(seconds: float) -> str:
        return f"{1000 * seconds:.2f} ms"

    def each(number: int | None) -> str:
        return "?" if number is None else f"{number / one.chunks:,.0f} B"

    moved = (one.sent, one.received, one.to_workers, one.from_workers, one.between)
    times = (one.alone, one.scheduler, one.driver, one.worker - one.alone)
    cells = [
        str(one.workers), f"{one.wall:.2f} s", *map(ms, times), *map(each, moved),
        ", ".join(f"{lost:.1f}" for lost in one.lost) + " s",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"
