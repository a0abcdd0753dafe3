"""The output of a run while it runs: what is done already, and what is added.

The mark of an image's store, set last, after a sync to the disk, is what says that the image is
done; see `chunkmeans.steps.resume.what_holds`. The catalogue lists such marks, and what failed or
was skipped. It is written again and again, as often as that takes a twentieth of the time at
most, so that a run that is killed loses no result, and hardly a failure. The record says
``finished`` only at the very end.

One driver writes an output at a time (`chunkmeans.results.store.lease`).

Which images a run names is no setting, so a run may go on with an output of other images. Where
each image has its own means, results of images that this run does not name are as good as before
and stay in the catalogue, after this run's. Where images share means, another set of images has
other means: results of images that are not named any more leave the catalogue, and so are no part
of the run as `open_run` shows it; their stores stay on the disk, each with the means it was made
by, until somebody deletes them or names these images again.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import monotonic, perf_counter
from typing import Any

from chunkmeans.config import Config
from chunkmeans.engines.base import Engine
from chunkmeans.engines.machine import PeakMemory
from chunkmeans.events import Advanced, Event, Iterated, PhaseStarted
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.model import Model
from chunkmeans.results.models.models import (
    has_model,
    model_names,
    model_path,
    model_pool,
    read_model,
    write_model,
)
from chunkmeans.results.read.catalog import Row, read_catalog, write_catalog, write_labels_table
from chunkmeans.results.read.record import (
    RunRecord,
    State,
    fingerprint,
    write_record,
)
from chunkmeans.results.read.rows import Rows
from chunkmeans.results.store.lease import Lease
from chunkmeans.results.store.store import (
    CATALOG,
    LOGS,
    MODEL,
    RECORD,
    Store,
    image_path,
)
from chunkmeans.results.write.totals import totals_of
from chunkmeans.steps.job import Job
from chunkmeans.steps.resume.duplicates import mark_duplicates
from chunkmeans.steps.resume.outcome import row_of_store
from chunkmeans.steps.resume.owner import clear, earlier, refuse_other
from chunkmeans.steps.resume.saved import subject_of, subject_of_image, sweep
from chunkmeans.steps.resume.what_holds import (
    Earlier,
    earlier_groups,
    earlier_images,
    labelled_in,
)

SECONDS_BETWEEN_SAVES = 2.0
"""At least."""
PAUSES = 20
"""Times as long as a save takes, it is waited for the next."""
LAST_PROBLEMS = 10
"""Failures that the record tells of."""


@dataclass
class Ledger:
    """Rows of a run's images, kept and new; written from time to time and at the end."""

    store: Store
    jobs: Sequence[Job]
    record: RunRecord
    rows: Rows = field(default_factory=Rows)
    """By id: of `jobs` that have ended, and of earlier images that are none of them."""
    why: Mapping[str, str] = field(default_factory=dict)
    """Why images that had ended are done again, by id."""
    lease: Lease | None = None
    compared: bool = False
    """Whether the rows found tell already which images repeat others: of a run that finished."""
    nbytes: int = 0
    """Decoded bytes of the images of this run."""
    problems: "deque[tuple[str, str]]" = field(default_factory=lambda: deque(maxlen=LAST_PROBLEMS))
    """Id and reason of the latest failures."""
    phase: dict[str, Any] = field(default_factory=dict)
    """What the run is doing, for `status`."""
    _ended: int = 0
    _saved: float = field(default_factory=monotonic)
    _pause: float = 0.0
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
        if self.lease is not None:
            self.lease.refuse_lost()
        self.rows[row.id] = row
        self.nbytes += nbytes
        self._ended += 1
        if row.state == "failed":
            self.problems.append((row.id, row.reason))
        if monotonic() - self._saved > max(SECONDS_BETWEEN_SAVES, self._pause):
            self.save()

    def watch(self, event: Event) -> None:
        """Note what the run is doing; a watcher. Another thread reads it: nothing is mutated."""
        match event:
            case PhaseStarted():
                self.phase = {
                    "phase": event.phase,
                    "subject": event.subject,
                    "pixels": event.pixels,
                    "units": event.units,
                    "pixels_done": 0,
                    "units_done": 0,
                }
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

    def shared(self, group: str | None) -> "Shared":
        """Return what images of a group (None: all) that share means leave in the output."""
        return Shared(self, group)

    def keep_model(self, group: str | None, model: Model, attributes: Mapping[str, Any]) -> None:
        """Write the model of a group; None: of all images, which the record tells of too."""
        write_model(self.store, group, model, attributes)
        if group is None:
            self.tell_of(model)

    def tell_of(self, model: Model) -> None:
        """Let the record tell of the fit of all images."""
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
        begin = monotonic()
        write_catalog(self.store, self.ordered())
        self.record_state()
        self._saved = monotonic()
        self._pause = PAUSES * (self._saved - begin)

    def ordered(self) -> Sequence[Row]:
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
        if self.lease is not None:
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


@dataclass(frozen=True)
class Shared:
    """What images that share means leave in the output, besides their rows."""

    book: Ledger
    group: str | None

    def whole(self, pool: str, jobs: Sequence[Job]) -> Sequence[Row]:
        """Return the rows of `jobs`, if the model is of `pool` and so are the labels of all."""
        store = self.book.store
        if model_pool(store, self.group) != pool:
            return ()
        rows = []
        for job in jobs:
            image = labelled_in(store, image_path(job.id), pool)
            if image is None:
                return ()
            rows.append(row_of_store(image, job.id, job))
        if self.group is None:
            self.book.tell_of(read_model(store))
        return rows

    def begin(self, pool: str, jobs: Iterable[Job]) -> dict[str, tuple[Row, Moments]]:
        """Return the rows and exact totals of `jobs` that are labelled by means of this `pool`.

        A model and labels by any other means are deleted, those of images that could be read
        before included: old and new are never mixed.
        """
        store, found = self.book.store, {}
        if model_pool(store, self.group) != pool:
            store.delete(model_path(self.group))
        there = set(store.image_names())
        pooled = {job.id: job for job in jobs}
        for job in self.book.jobs:
            if job.group != self.group or job.id not in there:
                continue
            path = image_path(job.id)
            image = labelled_in(store, path, pool) if job.id in pooled else None
            if image is not None:
                written = totals_of(store, path, image.attributes)
                if written is not None:
                    found[job.id] = (row_of_store(image, job.id, pooled[job.id]), written)
                    continue
            store.delete(path)
        return found

    def keep(self, model: Model, attributes: Mapping[str, Any]) -> None:
        """Write the model; `attributes` say of which pool it is and of what pixels."""
        self.book.keep_model(self.group, model, attributes)


@contextmanager
def ledger(
    config: Config,
    jobs: Sequence[Job],
    engine: Engine,
    overwrite: bool,
    peak: PeakMemory,
    *,
    planned: int | None = None,
    retry_failed: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Iterator[Ledger]:
    """Open the output for a run and close its record, whatever happens in between.

    The record tells the bytes that were `planned`, and what `peak` measured.

    Parameters
    ----------
    retry_failed
        Whether images that failed are tried again though their files are the same.
    settings
        What decides a result; None: what the config says.

    Raises
    ------
    ResultError
        If the output holds results of other settings and is not to be overwritten, or another
        run writes it.
    """
    store = jobs[0].output.store
    settings = config.settings() if settings is None else settings
    if overwrite:
        earlier(store)  # is it ours?
    else:
        refuse_other(store, settings)
    book: Ledger | None = None
    with Lease(store, lambda: book.progress() if book is not None else {}) as lease:
        if overwrite and earlier(store) is not None:
            clear(store)
        before = refuse_other(store, settings)
        compared = before is not None and before.state == "finished" and store.exists(CATALOG)
        found = what_holds(store, jobs, fingerprint(settings), config.kmeans.scope, retry_failed)
        record = RunRecord(
            config=config.resolved(),
            settings=settings,
            fingerprint=fingerprint(settings),
            memory_planned=planned,
        )
        book = Ledger(store, jobs, record, Rows(found.rows.values()), found.why, lease, compared)
        book.problems.extend((r.id, r.reason) for r in found.rows.values() if r.state == "failed")
        begin(book, found, pooled=config.kmeans.scope != "image")
        state: State = "failed"
        try:
            yield book
            state = "finished"
        except KeyboardInterrupt:
            state = "interrupted"
            raise
        finally:
            book.close(state, peak)


def what_holds(
    store: Store, jobs: Sequence[Job], settings: str, scope: str, retry_failed: bool
) -> Earlier:
    """Return what of the output still holds, by its marks and its catalogue."""
    rows = {row.id: row for row in read_catalog(store)} if store.exists(CATALOG) else {}
    if scope == "image":
        return earlier_images(store, rows, jobs, retry_failed)
    return earlier_groups(store, rows, jobs, settings, retry_failed)


def begin(book: Ledger, found: Earlier, *, pooled: bool) -> None:
    """Leave in the output nothing but what holds, and sweep what a killed run left half made.

    The catalogue first: what is done anew is not listed as done before it is.
    """
    store = book.store
    if pooled:
        again = {job.group for job in book.pending}
        if None not in again and has_model(store):
            book.tell_of(read_model(store))
    if not store.exists(RECORD):  # first of all, as it says whose the rest is
        book.record_state()
    book.save()
    write_labels_table(store, book.ordered())
    for path in found.stale:
        store.delete(path)
    if pooled:
        there = set(store.image_names())
        labelled = {job.group for job in book.jobs if job.id in there}
        for group in {*again, *model_names(store)} - labelled:
            store.delete(model_path(group))  # of images that are not named or not there any more
    for folder in ("", MODEL, LOGS):
        store.sweep(folder)
    sweep(
        store,
        (subject_of(job.group) if pooled else subject_of_image(job.id) for job in book.jobs),
    )
