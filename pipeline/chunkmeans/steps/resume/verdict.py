"""Whether the result of one image holds: rules, each with the reason why it does not.

The mark of an image's store is the truth: a store that is complete, of the same file and the same
choice of it, is a result, whether or not the run that made it came to list it. A row without a
store (failed, skipped) holds as long as its input is the same.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from chunkmeans.errors import ChunkmeansError
from chunkmeans.results.read.catalog import Row
from chunkmeans.results.read.open_results import SegmentedImage, open_segmented
from chunkmeans.results.store import versions
from chunkmeans.results.store.plain_json import plain
from chunkmeans.results.store.store import Store, image_path
from chunkmeans.retry import is_transient, with_retries
from chunkmeans.secrets import without_secrets
from chunkmeans.sources.base import Image
from chunkmeans.sources.registry import open_image
from chunkmeans.steps.chunk import CONTENT, READ_BY, input_fingerprint
from chunkmeans.steps.job import Job
from chunkmeans.steps.resume.catalog_rows import stored_row
from chunkmeans.steps.resume.outcome import failed_with, limit_in


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of the result of one image."""

    row: Row | None = None
    """It holds, with this row; None: the image is to be segmented."""
    reason: str = ""
    """Why it does not hold; empty where there was none."""
    stale: str = ""
    """Path of a store that is to be deleted: incomplete, or made of something else."""


def verdict_of(
    store: Store, job: Job, row: Row | None, *, stored: bool, retry_failed: bool
) -> Verdict:
    """Judge a job's image by its store, if there is one, else by its row of the catalogue."""
    return _of_store(store, job, row) if stored else _of_row(job, row, retry_failed)


def _of_store(store: Store, job: Job, row: Row | None) -> Verdict:
    """Judge the store of a job's image, complete or not; `row` is its row of the catalogue."""
    path = image_path(job.id)
    try:
        image = open_segmented(store, path, allow_incomplete=True)
        if not image.complete:
            return Verdict(None, "it was begun, not finished", path)
        if reason := with_retries(lambda: _difference_of(job, image.attributes)):
            return Verdict(None, reason, path)
        return Verdict(_with_manifest(row_of(image, row, job), job))
    except (ChunkmeansError, KeyError) as error:
        # a transient error is no proof that the result is bad
        return Verdict(None, str(error), "" if is_transient(error) else path)


def _of_row(job: Job, row: Row | None, retry_failed: bool) -> Verdict:
    """Judge the row of a job's image that has no store."""
    if row is None:
        return Verdict()
    if row.state == "failed" and retry_failed and not row.store:
        return Verdict(None, "it failed, and is to be retried")
    reason = _difference_from(job, row)
    return Verdict(None, reason) if reason else Verdict(_with_manifest(row, job))


def verdict_of_other(store: Store, name: str, row: Row | None) -> Verdict:
    """Judge a store that no job names; neither row nor stale where it is not ours."""
    path = image_path(name)
    try:
        image = open_segmented(store, path, allow_incomplete=True)
        return Verdict(row_of(image, row, None, name)) if image.complete else Verdict(stale=path)
    except ChunkmeansError as error:
        if is_transient(error):
            return Verdict(row)
        return Verdict() if store.files(path) else Verdict(stale=path)


def row_of(image: SegmentedImage, row: Row | None, job: Job | None, name: str = "") -> Row:
    """Return the row of a complete image: the catalogue's, which has its time, or its store's."""
    if row is not None and row.store == image.path and row.state in ("done", "warned"):
        return row
    return stored_row(image, name if job is None else job.id, job)


def _with_manifest(row: Row, job: Job) -> Row:
    """Return a row with the present columns of the manifest."""
    return replace(row, choice=job.choice, extra=job.manifest)


# -- of an image with a store ---------------------------------------------------------------------


def _difference_of(job: Job, made: Mapping[str, Any]) -> str:
    """Return the first thing in which the attributes of a result differ from its job.

    Raises
    ------
    ChunkmeansError
        If the input cannot be looked at.
    KeyError
        If an attribute is missing.
    """
    source = made["source"]
    image, mask = _opened(job)
    now = input_fingerprint(image, mask, job.fingerprint)
    if source["path"] == without_secrets(image.path) and source["fingerprint"] != now:
        return changed(source["fingerprint"], now)
    masked = None if mask is None else without_secrets(mask.path)
    began = made.get("initial_means"), job.initial_means
    algorithms = versions.algorithm_of(made.get("versions", {})), str(versions.ALGORITHM_VERSION)
    comparisons = (
        (source["path"], without_secrets(image.path), "it was read from {was}"),
        (source["channels"], plain(job.options.channels), "its channels were {was}, now {now}"),
        (source["mask"], masked, "its mask was {was}, now {now}"),
        (made["group"], job.group, "its group was {was}, now {now}"),
        (*began, "the means that its fit began with are not what they were"),
        (*algorithms, "it was computed by version {was} of the algorithm, now {now}"),
        ("reservations" in made, True, "it was made by an older chunkmeans"),
    )
    return next((text.format(was=was, now=is_) for was, is_, text in comparisons if was != is_), "")


# -- of an image without a store ------------------------------------------------------------------


def _difference_from(job: Job, row: Row) -> str:
    """Return the first thing in which a row differs from its job; empty if none."""
    if row.store:
        return "its store is gone"
    if row.source != job.source:
        return f"it was read from {row.source}"
    if row.choice != job.choice:
        return f"it was read with {row.choice or 'no choice'}, now {job.choice or 'none'}"
    if row.state == "failed":
        return _other_failure(job, row.fingerprint)
    now = _fingerprint(job)
    return "" if row.fingerprint and row.fingerprint == now else changed(row.fingerprint, now)


def _other_failure(job: Job, before: str) -> str:
    """Return why what failed with the fingerprint `before` may not fail again."""
    if not before:
        return "it failed for a reason that may have passed"
    limit = limit_in(before)
    now = failed_with(job, limit=limit)
    if before == now:
        return ""
    if limit and now.rpartition(" limits.")[0] == before.rpartition(" limits.")[0]:
        return f"images.limits.{limit} changed: {before}, now {now}"
    return changed(before, now)


def changed(before: str, now: str) -> str:
    """Return what it means that two fingerprints of an input differ."""
    if now and before.startswith(CONTENT) != now.startswith(CONTENT):
        return (
            "images.fingerprint is of another kind than it was, so whether the file changed is not "
            f"known: it was {before}, now {now}"
        )
    read_by = re.compile(rf"{READ_BY}(\S+ \d+)")
    if read_by.sub("", before) == read_by.sub("", now):
        was, is_ = (" and ".join(read_by.findall(text)) for text in (before, now))
        return f"reading changed: it was read by {was or 'version 1'}, now {is_ or 'version 1'}"
    return f"the file changed: it was {before}, now {now}"


def _fingerprint(job: Job) -> str:
    """Return what the input of a job is now; empty if it cannot be opened."""
    try:
        return with_retries(lambda: input_fingerprint(*_opened(job), job.fingerprint))
    except ChunkmeansError:
        return ""


def _opened(job: Job) -> tuple[Image, Image | None]:
    """Return a job's image and mask; nothing of them is decoded."""
    mask = None if job.mask is None else open_image(job.mask, job.options)
    return open_image(job.path, job.options), mask
