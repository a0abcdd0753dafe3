"""Opening an output for a run: who owns it, what of it holds, what is to be done.

One driver writes an output at a time (`chunkmeans.results.store.lease`). Under its lease the
output is resumed, or cleared where it is to be overwritten; an inventory lists which results
hold; everything else goes, the catalogue first; and a ledger with the rest to be done is handed
on, whose record is closed however the run ends.

Which images a run names is no setting, so a run may resume an output of other images. Where each
image has its own means, results of images that this run does not name are as good as before and
stay in the catalogue, after this run's. Where images share means, another set of images has other
means: results of images that are not named any more leave the catalogue, and so are no part of
the run as `open_run` shows it; their stores stay on the disk, each with the means it was made by,
until they are deleted or those images are named again.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from chunkmeans.config import Config
from chunkmeans.engines.machine import PeakMemory
from chunkmeans.results.models.models import has_model, model_names, model_path, read_model
from chunkmeans.results.read.catalog import write_labels_table
from chunkmeans.results.read.record import RunRecord, State, settings_fingerprint
from chunkmeans.results.read.rows import Rows
from chunkmeans.results.store.lease import Lease
from chunkmeans.results.store.store import CATALOG, LOGS, MODEL, RECORD
from chunkmeans.steps.job import Job
from chunkmeans.steps.resume.inventory import Inventory, take_inventory
from chunkmeans.steps.resume.ledger import Ledger
from chunkmeans.steps.resume.owner import clear_output, previous_run
from chunkmeans.steps.resume.saved import subject_of, subject_of_image, sweep


@dataclass(frozen=True, slots=True)
class Resume:
    """What is done with what an output holds already."""

    overwrite: bool = False
    """It is replaced, results of other settings too."""
    retry_failed: bool = False
    """Images that failed are tried again though their files are the same."""
    settings: Mapping[str, Any] | None = None
    """What decides a result; None: the config's."""


@contextmanager
def open_ledger(
    config: Config,
    jobs: Sequence[Job],
    peak: PeakMemory,
    resume: Resume = Resume(),
    planned: int | None = None,
) -> Iterator[Ledger]:
    """Open the output for a run and close its record, whatever happens in between.

    The record has the bytes that were `planned`, and what `peak` measured.

    Raises
    ------
    ResultError
        If the output holds results of other settings and is not to be overwritten, or another
        run writes it.
    """
    store = jobs[0].output.store
    settings = config.settings() if resume.settings is None else resume.settings
    pooled = config.kmeans.pooled
    previous_run(store, settings, overwrite=resume.overwrite)  # before anything is written there
    book: Ledger | None = None
    with Lease(store, lambda: book.progress() if book is not None else {}) as lease:
        before = previous_run(store, settings, overwrite=resume.overwrite)
        if before is not None and resume.overwrite:
            clear_output(store)
        mark = settings_fingerprint(settings)
        compared = before is not None and before.state == "finished" and store.exists(CATALOG)
        found = take_inventory(store, jobs, mark, pooled=pooled, retry_failed=resume.retry_failed)
        record = RunRecord(
            config=config.resolved(), settings=settings, fingerprint=mark, memory_planned=planned
        )
        book = Ledger(store, jobs, record, Rows(found.rows.values()), found.why, lease, compared)
        book.problems.extend((r.id, r.reason) for r in found.rows.values() if r.state == "failed")
        _leave_what_holds(book, found, pooled=pooled)
        state: State = "failed"
        try:
            yield book
            state = "finished"
        except KeyboardInterrupt:
            state = "interrupted"
            raise
        finally:
            book.close(state, peak)


def _leave_what_holds(book: Ledger, found: Inventory, *, pooled: bool) -> None:
    """Leave in the output nothing but what holds, and sweep what a killed run left half made.

    The catalogue first: what is done anew is not listed as done before it is.
    """
    store = book.store
    again = {job.group for job in book.pending}
    if pooled and None not in again and has_model(store):
        book.record_fit(read_model(store))
    if not store.exists(RECORD):  # first of all, as it makes the rest our output
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
    subjects = (subject_of(j.group) if pooled else subject_of_image(j.id) for j in book.jobs)
    sweep(store, subjects)
