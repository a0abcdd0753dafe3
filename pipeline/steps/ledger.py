"""The output of a run while it runs: what is done already, and what is added.

An image counts as done when the catalogue has its row and its store is complete, made of the
same file. The record says ``finished`` only at the very end.

Which images a run names is no setting, so a run may go on with an output of other images. Where
each image has its own means, results of images that this run does not name are as good as before
and stay in the catalogue, after this run's. Where images share means, another set of images has
other means: results of images that are not named any more leave the catalogue, and so are no part
of the run as `open_run` shows it; their stores stay on the disk, each with the means it was made
by, until somebody deletes them or names these images again.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import monotonic, perf_counter

from pipeline.config import Config
from pipeline.engines.base import Engine
from pipeline.engines.machine import PeakMemory
from pipeline.errors import ChunkmeansError, ResultError
from pipeline.kmeans.model import Model
from pipeline.results.catalog import Row, read_catalog, write_catalog
from pipeline.results.model_store import has_model, write_model
from pipeline.results.open import open_image as open_result
from pipeline.results.plain import plain
from pipeline.results.record import (
    RunRecord,
    State,
    clash,
    fingerprint,
    read_record,
    write_record,
)
from pipeline.results.store import CATALOG, IMAGES, LOGS, MODEL, RECORD, Store
from pipeline.sources.registry import open_image
from pipeline.steps.chunk import fingerprint as input_fingerprint
from pipeline.steps.image import Job

SECONDS_BETWEEN_SAVES = 30.0


@dataclass
class Ledger:
    """Rows of a run's images, kept and new; written from time to time and at the end."""

    store: Store
    jobs: Sequence[Job]
    record: RunRecord
    rows: dict[str, Row] = field(default_factory=dict)
    """By id: of `jobs` that have ended, and of earlier images that are none of them."""
    nbytes: int = 0
    """Decoded bytes of the images of this run."""
    _saved: float = field(default_factory=monotonic)
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
        """Note how an input ended, and how many bytes were decoded for it."""
        self.rows[row.id] = row
        self.nbytes += nbytes
        if monotonic() - self._saved > SECONDS_BETWEEN_SAVES:
            self.save()

    def keep_model(self, group: str | None, model: Model) -> None:
        """Write the model of a group; None: of all images, which the record tells of too."""
        write_model(self.store, group, model)
        if group is None:
            self.record = replace(
                self.record,
                inertia=model.inertia,
                iterations=len(model.residuals),
                residual=float(model.residuals[-1]),
            )

    def save(self) -> None:
        """Write the catalogue, rows in the order of the inputs; those of earlier images last."""
        named = dict.fromkeys(job.id for job in self.jobs)
        order = [*named, *(name for name in self.rows if name not in named)]
        write_catalog(self.store, [self.rows[name] for name in order if name in self.rows])
        self._saved = monotonic()

    def counts(self) -> dict[str, int]:
        """Return the number of inputs by state, of the catalogue as it stands."""
        return dict(Counter(row.state for row in self.rows.values()))


@contextmanager
def ledger(
    config: Config,
    jobs: Sequence[Job],
    engine: Engine,
    overwrite: bool,
    peak: PeakMemory,
    planned: int | None = None,
) -> Iterator[Ledger]:
    """Open the output for a run and close its record, whatever happens in between.

    The record tells the bytes that were `planned`, and what `peak` measured.

    Raises
    ------
    ResultError
        If the output holds results of other settings and is not to be overwritten.
    """
    store = jobs[0].output.store
    settings, pooled = config.settings(), config.kmeans.scope != "image"
    if overwrite and earlier(store) is not None:
        clear(store)
    before = refuse_other(store, settings)
    rows = {row.id: row for row in read_catalog(store)} if store.exists(CATALOG) else {}
    kept = done_before(store, rows, jobs, pooled)
    record = RunRecord(
        config=config.resolved(),
        settings=settings,
        fingerprint=fingerprint(settings),
        memory_planned=planned,
    )
    if before is not None and kept and pooled:
        record = replace(
            record,
            inertia=before.inertia,
            iterations=before.iterations,
            residual=before.residual,
        )
    elif pooled:
        store.delete(MODEL)  # labels of the new means must never be found beside the old ones
    others = {} if pooled else others_before(store, rows, jobs)
    book = Ledger(store, jobs, record, {**kept, **others})
    write_record(store, record)
    book.save()  # so that what is done anew is not listed as done before it is
    for job in book.pending:
        if job.id in rows and rows[job.id].store:
            store.delete(rows[job.id].store)
    state: State = "failed"
    try:
        yield book
        state = "finished"
    except KeyboardInterrupt:
        state = "interrupted"
        raise
    finally:
        book.save()
        ended = [row for row in book.rows.values() if row.store]
        book.record = replace(
            book.record,
            state=state,
            counts=book.counts(),
            pixels=sum((row.pixels or 0) + (row.nodata or 0) for row in ended),
            nbytes=book.nbytes,
            seconds=book.seconds,
            memory_peak=peak.nbytes,
        )
        write_record(store, book.record)


def clear(store: Store) -> None:
    """Delete what a run writes, and nothing else; its record last, as it says whose this is."""
    for name in (CATALOG, MODEL, IMAGES, LOGS, RECORD):
        store.delete(name)


def earlier(store: Store) -> RunRecord | None:
    """Return the record of an earlier run; None where there is nothing of one.

    Raises
    ------
    ResultError
        If the output holds something else, which a run would write into, or delete.
    """
    if store.exists(RECORD):
        return read_record(store)
    foreign = [name for name in (CATALOG, MODEL, IMAGES) if store.exists(name)]
    if foreign:
        raise ResultError(
            f"{store.path}: holds {' and '.join(map(repr, foreign))} but no {RECORD}, so it is no "
            "output of chunkmeans; choose another results.path"
        )
    return None


def refuse_other(store: Store, settings: Mapping[str, object]) -> RunRecord | None:
    """Return the record of an earlier run, if it may be gone on with; None where there is none.

    Raises
    ------
    ResultError
        If the output holds results of other settings, naming what changed, or of another version
        of the algorithm, or something else.
    """
    before = earlier(store)
    if before is None:
        return None
    changed = clash(before.settings, settings)
    if not changed and before.fingerprint != fingerprint(settings):
        changed = ["the algorithm of this version of chunkmeans is another one"]
    if changed:
        raise ResultError(
            f"{store.path}: holds results of other settings ({'; '.join(changed)}); choose "
            "another results.path, or replace them with --overwrite"
        )
    return before


def done_before(
    store: Store, rows: Mapping[str, Row], jobs: Sequence[Job], pooled: bool
) -> dict[str, Row]:
    """Return the `rows` of a catalogue whose images need not be done again, by id.

    Where images share a model it is all of them or none: one that changed changes the means.
    """
    if pooled:
        whole = all(has_model(store, group) for group in {job.group for job in jobs})
        if rows.keys() != {job.id for job in jobs} or not whole:
            return {}
    kept = {job.id: rows[job.id] for job in jobs if job.id in rows and _is_done(job, rows[job.id])}
    return {} if pooled and len(kept) < len(jobs) else kept


def others_before(store: Store, rows: Mapping[str, Row], jobs: Sequence[Job]) -> dict[str, Row]:
    """Return the `rows` of complete results whose images are not among `jobs`, by id."""
    named = {job.id for job in jobs}
    return {
        name: row
        for name, row in rows.items()
        if name not in named and row.state in ("done", "warned") and _is_complete(store, row)
    }


def _is_complete(store: Store, row: Row) -> bool:
    try:
        return open_result(store, row.store).complete
    except ChunkmeansError:
        return False


def _is_done(job: Job, row: Row) -> bool:
    """Whether the row's result is complete and was made of the file as it is now."""
    if row.state not in ("done", "warned") or row.source != job.path:
        return False
    try:
        made = open_result(job.output.store, row.store).attributes
        image = open_image(job.path, job.options)
        mask = None if job.mask is None else open_image(job.mask, job.options)
        same: bool = (
            made["source"]["fingerprint"] == input_fingerprint(image, mask)
            and made["source"]["channels"] == plain(job.options.channels)
            and made["group"] == job.group
        )
        return same
    except (ChunkmeansError, KeyError):
        return False
