"""The output of a run while it runs: what is done already, and what is added.

The mark of an image's store, set last, after a sync to the disk, makes an image done; see
`chunkmeans.steps.resume.verdict`. The catalogue lists such marks, and what failed or was skipped.
It is written again and again, as often as that takes a twentieth of the time at most, so that a
run that is killed loses no result, and hardly a failure. The record says ``finished`` only at the
very end.
"""

from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from time import perf_counter
from typing import Any

from chunkmeans.engines.machine import PeakMemory
from chunkmeans.events import Advanced, Event, Iterated, PhaseStarted
from chunkmeans.kmeans.model import Model
from chunkmeans.results.read.catalog import Row, write_catalog, write_labels_table
from chunkmeans.results.read.record import RunRecord, State, write_record
from chunkmeans.results.read.rows import Rows
from chunkmeans.results.store.lease import Lease
from chunkmeans.results.store.pace import SavePace
from chunkmeans.results.store.store import Store
from chunkmeans.steps.job import Job
from chunkmeans.steps.resume.duplicates import mark_duplicates

SECONDS_BETWEEN_CATALOGUES = 2.0
"""At least."""
LAST_PROBLEMS = 10
"""Failures that the record lists."""


@dataclass
class Ledger:
    """Rows of a run's images, kept and new; written from time to time and at the end."""

    store: Store
    jobs: Sequence[Job]
    record: RunRecord
    rows: Rows
    """By id: of `jobs` that have ended, and of earlier images that are none of them."""
    why: Mapping[str, str]
    """Why images that had ended are done again, by id."""
    lease: Lease
    compared: bool = False
    """Whether the rows found name already which images repeat others: those of a finished run."""
    nbytes: int = 0
    """Decoded bytes of the images of this run."""
    problems: "deque[tuple[str, str]]" = field(default_factory=lambda: deque(maxlen=LAST_PROBLEMS))
    """Id and reason of the latest failures."""
    phase: dict[str, Any] = field(default_factory=dict)
    """What the run is doing, for `status`."""
    _ended: int = 0
    _pace: SavePace = field(default_factory=lambda: SavePace(SECONDS_BETWEEN_CATALOGUES))
    _begin: float = field(default_factory=perf_counter)

    @property
    def seconds(self) -> float:
        """Time since the run began."""
        return perf_counter() - self._begin

    @property
    def pending(self) -> list[Job]:
        """Jobs that have no result yet."""
        return [job for job in self.jobs if job.id not in self.rows]

    def add(self, row: Row, nbytes: int) -> None:
        """Note how an input ended, and how many bytes were decoded for it.

        Raises
        ------
        ResultError
            If another driver took this one for dead and writes the output now.
        """
        self.lease.refuse_lost()
        self.rows[row.id] = row
        self.nbytes += nbytes
        self._ended += 1
        if row.state == "failed":
            self.problems.append((row.id, row.reason))
        if self._pace.due:
            self.save()

    def watch(self, event: Event) -> None:
        """Note what the run is doing; a watcher. Another thread reads it: nothing is mutated."""
        match event:
            case PhaseStarted():
                self.phase = {**asdict(event), "pixels_done": 0, "units_done": 0}
            case Advanced() if self.phase.get("phase") == event.phase:
                pixels = self.phase["pixels_done"] + event.pixels
                units = self.phase["units_done"] + event.units
                self.phase = {**self.phase, "pixels_done": pixels, "units_done": units}
            case Iterated():
                self.phase = {
                    **self.phase,
                    "iteration": event.index,
                    "residual": event.residual,
                    "inertia": event.inertia,
                }

    def progress(self) -> dict[str, Any]:
        """Return what the run is doing and since when, for those who look at the files."""
        return {"seconds": self.seconds, "ended": self._ended, **self.phase}

    def record_fit(self, model: Model) -> None:
        """Put the fit of all images into the record."""
        self.record = replace(
            self.record,
            inertia=model.inertia,
            iterations=len(model.residuals),
            residual=float(model.residuals[-1]),
        )

    def save(self) -> None:
        """Write the catalogue, rows in the order of the inputs, those of earlier images last.

        And with it how far the run is.
        """
        with self._pace.saving():
            write_catalog(self.store, self.ordered())
            self.record_state()

    def ordered(self) -> Collection[Row]:
        """Return the rows in the order of the inputs; those of earlier images last."""
        named = {job.id for job in self.jobs}
        order = [job.id for job in self.jobs if job.id in self.rows]
        return self.rows.listed([*order, *(name for name in self.rows if name not in named)])

    def counts(self) -> dict[str, int]:
        """Return the number of inputs by state, of those that have ended."""
        return dict(Counter(row.state for row in self._named()))

    def _named(self) -> Iterator[Row]:
        """Yield the rows of this run's inputs."""
        return (self.rows[job.id] for job in self.jobs if job.id in self.rows)

    def compare(self) -> int:
        """Note which images repeat others; return how many were not compared, though they may."""
        if self.compared and not self._ended:
            return 0
        return mark_duplicates(self.jobs, self.rows)

    def close(self, state: State, peak: PeakMemory) -> None:
        """Write everything for the last time, and how the run ended."""
        self.lease.refuse_lost()
        self.record = replace(self.record, memory_peak=peak.nbytes)
        write_catalog(self.store, self.ordered())
        write_labels_table(self.store, self.ordered())
        self.record_state(state)

    def record_state(self, state: State = "running") -> None:
        """Write how far the run is, or how it ended."""
        with_store = (row for row in self._named() if row.store)
        counts = self.counts()
        known = sum(counts.values())
        self.record = replace(
            self.record,
            state=state,
            counts=counts,
            images=len(self.jobs),
            pending=len(self.jobs) - known,
            others=len(self.rows) - known,
            ended=self._ended,
            problems=tuple(self.problems),
            pixels=sum((row.pixels or 0) + (row.nodata or 0) for row in with_store),
            nbytes=self.nbytes,
            seconds=self.seconds,
        )
        write_record(self.store, self.record)
