"""Stands in for what the command line calls, and events that it may tell of."""

from dataclasses import dataclass

from chunkmeans.events import ImageFinished

CONFIG = "images: {path: scans/}\nkmeans: {k: 4}\nresults: {path: out}\n"


@dataclass(frozen=True)
class Record:
    """As much of a run's record as the command line looks at."""

    state: str
    counts: dict[str, int]
    others: int = 0


@dataclass(frozen=True)
class PlannedImage:
    id: str
    path: str
    axes: str
    shape: tuple[int, ...]
    channels: int
    dtype: str
    chunks: int
    nbytes: int
    problem: str = ""


@dataclass(frozen=True)
class Plan:
    images: tuple[PlannedImage, ...]
    engine: str = "local"
    workers: int = 2
    threads: int = 2
    need: int = 3 * 2**20
    bound: int = 2**30
    driver_need: int = 2**20
    tasks: int = 7
    nbytes: int = 6_000_000
    problems: tuple[str, ...] = ()
    assumed: bool = False
    unopened: int = 0
    script: str = ""


class Runner:
    """Stands in for `chunkmeans.api`: does nothing, and tells what it was asked."""

    def __init__(self, events=(), counts=None, plan=None, error=None):
        self.events, self.error = events, error
        self.counts = counts or {"done": 1, "warned": 0, "failed": 0, "skipped": 0}
        self.planned = plan
        self.config = self.overwrite = self.retry_failed = None

    def run(self, config, *, overwrite=False, retry_failed=False, performance_report=None, watch):
        self.performance_report = performance_report
        self.config, self.overwrite, self.retry_failed = config, overwrite, retry_failed
        for event in self.events:
            watch(event)
        if self.error is not None:
            raise self.error
        return Record("finished", self.counts)

    def apply(self, model, images, output, **options):
        self.model, self.images, self.output, self.options = model, images, output, options
        return Record("finished", self.counts)

    def plan(self, config, *, watch):
        self.config = config
        if self.error is not None:
            raise self.error
        return self.planned


FAILED = ImageFinished("a", "failed", "a.tif: cannot be opened: [red]not[/red] a TIFF file", 0.1)
WARNED = ImageFinished("b", "warned", "not converged within 3 iterations", 0.1)
DONE = ImageFinished("c", "done", "", 0.5)
