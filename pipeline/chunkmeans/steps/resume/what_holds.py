"""What an earlier run left: which results still hold, which do not, and why.

The mark of an image's store is the truth: a store that is complete, of the same file and the same
choice of it, is a result, whether or not the run that made it came to list it. A row without a
store (failed, skipped) holds as long as its input is the same.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from chunkmeans.errors import ChunkmeansError
from chunkmeans.results.models.models import model_pool
from chunkmeans.results.read.catalog import Row
from chunkmeans.results.read.open_results import SegmentedImage
from chunkmeans.results.read.open_results import open_image as open_result
from chunkmeans.results.store.plain_json import plain, to_json
from chunkmeans.results.store.store import Store, image_path
from chunkmeans.retry import is_transient, with_retries
from chunkmeans.secrets import without_secrets
from chunkmeans.sources.registry import open_image
from chunkmeans.steps.chunk import CONTENT, input_fingerprint
from chunkmeans.steps.job import Job
from chunkmeans.steps.resume.outcome import failed_with, limit_in, row_of_store

AT_ONCE = 16
"""Stores and inputs that are looked at side by side: an object store takes its time."""
POOL = "pool"


@dataclass(frozen=True)
class Earlier:
    """What of an output still holds."""

    rows: Mapping[str, Row] = field(default_factory=dict)
    """Of images that need not be done again, by id."""
    why: Mapping[str, str] = field(default_factory=dict)
    """Of those that had ended and are done again, by id."""
    stale: tuple[str, ...] = ()
    """Paths of stores that are to be deleted: incomplete, or made of something else."""


def pool_of(settings: str, init: str | None, images: Iterable[tuple[str, str, Any]]) -> str:
    """Return the name of what images have in common that share means: the same pixels, the same.

    Parameters
    ----------
    settings
        Fingerprint of the settings and the algorithm.
    init
        Hash of the means that the fit begins with; None if they are drawn.
    images
        Of every image whose pixels are pooled: its id, its fingerprint, its channels.
    """
    listed = sorted(to_json([name, mark, channels]) for name, mark, channels in images)
    begin = [settings] if init is None else [settings, init]
    return sha256("\n".join([*begin, *listed]).encode()).hexdigest()[:32]


def earlier_images(
    store: Store, rows: Mapping[str, Row], jobs: Sequence[Job], retry_failed: bool
) -> Earlier:
    """Return what holds where each image has its own means; images not named any more included."""
    held = _held(store, rows, jobs, retry_failed)
    named = {job.id for job in jobs}
    stale = list(held.stale)
    kept = dict(held.rows)
    for name in store.image_names():
        if name in named:
            continue
        row = _other(store, name, rows.get(name))
        if isinstance(row, Row):
            kept[name] = row
        elif row is not None:
            stale.append(row)
    return Earlier(kept, held.why, tuple(stale))


def earlier_groups(
    store: Store, rows: Mapping[str, Row], jobs: Sequence[Job], settings: str, retry_failed: bool
) -> Earlier:
    """Return what holds where images share means: all of a group, or nothing of it.

    Of a group that is not whole no store is stale yet: the images that can be read decide which
    means it has, and so which labels go on being its own.
    """
    held = _held(store, rows, jobs, retry_failed)
    groups: dict[str | None, list[Job]] = defaultdict(list)
    for job in jobs:
        groups[job.group].append(job)
    kept: dict[str, Row] = {}
    for group, members in groups.items():
        found = {job.id: held.rows[job.id] for job in members if job.id in held.rows}
        if len(found) < len(members):
            continue
        if not any(row.store for row in found.values()):
            kept |= found  # nothing can be read, or nothing is there to be labelled
            continue
        pooled = (job for job in members if found[job.id].state != "failed")
        images = ((j.id, found[j.id].fingerprint, plain(j.options.channels)) for j in pooled)
        pool = pool_of(settings, members[0].initial_means, images)
        if pool == model_pool(store, group) and all(
            labelled_in(store, row.store, pool) is not None for row in found.values() if row.store
        ):
            kept |= found
    why = {
        job.id: held.why.get(job.id, "another image of its group is not as it was")
        for job in jobs
        if job.id not in kept and (job.id in held.rows or job.id in held.why)
    }
    named = {job.id for job in jobs}
    others = [name for name in store.image_names() if name not in named]
    unfinished = [path for name in others if isinstance(path := _other(store, name, None), str)]
    return Earlier(kept, why, (*held.stale, *unfinished))


def labelled_in(store: Store, path: str, pool: str) -> SegmentedImage | None:
    """Return an image whose labels are complete and belong to this pool; None: it has no such."""
    try:
        image = open_result(store, path)
        return image if image.attributes.get(POOL) == pool else None
    except ChunkmeansError:
        return None


def _held(
    store: Store, rows: Mapping[str, Row], jobs: Sequence[Job], retry_failed: bool
) -> Earlier:
    """Return what holds of the images of `jobs`, each for itself."""
    there = set(store.image_names())

    def look(job: Job) -> tuple[Row | None, str, str]:
        return _look(store, job, rows.get(job.id), job.id in there, retry_failed)

    kept: dict[str, Row] = {}
    why: dict[str, str] = {}
    stale: list[str] = []
    for job, (row, reason, path) in zip(jobs, _side_by_side(look, jobs, bool(there)), strict=True):
        if row is not None:
            kept[job.id] = row
        elif reason:
            why[job.id] = reason
        if path:
            stale.append(path)
    return Earlier(kept, why, tuple(stale))


def _side_by_side(look: Any, jobs: Sequence[Job], many: bool) -> Iterator[Any]:
    if not many:
        yield from map(look, jobs)
        return
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="earlier") as pool:
        yield from pool.map(look, jobs)


def _look(
    store: Store, job: Job, row: Row | None, there: bool, retry_failed: bool
) -> tuple[Row | None, str, str]:
    """Return the row of a job that need not be done, why it must be, and a store to delete."""
    if there:
        path = image_path(job.id)
        try:
            image = open_result(store, path, allow_incomplete=True)
            reason = (
                with_retries(lambda: changed(job, image.attributes))
                if image.complete
                else "it was begun, not finished"
            )
            if not reason:
                if row is None or row.store != path or row.state not in ("done", "warned"):
                    row = row_of_store(image, job.id, job)
                return _told(row, job), "", ""
        except ChunkmeansError as error:
            reason = str(error)
            if is_transient(error):  # nothing tells that the result is not good
                path = ""
        return None, reason, path
    if row is None:
        return None, "", ""
    if row.store:
        return None, "its store is gone", ""
    if row.state == "failed" and retry_failed:
        return None, "it failed, and is to be tried again", ""
    if row.source != job.source:
        return None, f"it was read from {row.source}", ""
    if row.choice != job.choice:
        return None, f"it was read with {row.choice or 'no choice'}, now {job.choice or 'none'}", ""
    limit = limit_in(row.fingerprint) if row.state == "failed" else ""
    now = failed_with(job, limit=limit) if row.state == "failed" else _fingerprint(job)
    if row.fingerprint and row.fingerprint == now:
        return _told(row, job), "", ""
    if row.state == "failed" and not row.fingerprint:
        return None, "it failed for a reason that may have passed", ""
    if limit and now.rpartition(" limits.")[0] == row.fingerprint.rpartition(" limits.")[0]:
        return None, f"images.limits.{limit} changed: {row.fingerprint}, now {now}", ""
    return None, _differs(row.fingerprint, now), ""


def _told(row: Row, job: Job) -> Row:
    """Return a row with what the manifest tells of its image now."""
    return replace(row, choice=job.choice, extra=job.manifest)


def changed(job: Job, made: Mapping[str, Any]) -> str:
    """Return why a result was not made of what a job names now; empty if it was.

    Raises
    ------
    ChunkmeansError
        If the input cannot be looked at for a reason that may pass.
    """
    try:
        source = made["source"]
        image = open_image(job.path, job.options)
        mask = None if job.mask is None else open_image(job.mask, job.options)
        mark = input_fingerprint(image, mask, job.fingerprint)
        if source["path"] != without_secrets(image.path):
            return f"it was read from {source['path']}"
        if source["fingerprint"] != mark:
            return _differs(source["fingerprint"], mark)
        if source["channels"] != plain(job.options.channels):
            return f"its channels were {source['channels']}, now {plain(job.options.channels)}"
        masked = None if mask is None else without_secrets(mask.path)
        if source["mask"] != masked:
            return f"its mask was {source['mask']}, now {masked}"
        if made["group"] != job.group:
            return f"its group was {made['group']}, now {job.group}"
        if made.get("initial_means") != job.initial_means:
            return "the means that its fit began with are not what they were"
        if "reservations" not in made:
            return "it was made by an older chunkmeans"
    except (ChunkmeansError, KeyError) as error:
        if is_transient(error):
            raise
        return str(error)
    return ""


def _differs(before: str, now: str) -> str:
    """Say what two fingerprints that are not equal mean."""
    if now and before.startswith(CONTENT) != now.startswith(CONTENT):
        return (
            "images.fingerprint is of another kind than it was, so that nothing tells whether the "
            f"file changed: it was {before}, now {now}"
        )
    return f"the file changed: it was {before}, now {now}"


def _fingerprint(job: Job) -> str:
    """Return what the input of a job is now; empty if it cannot be opened."""

    def look() -> str:
        mask = None if job.mask is None else open_image(job.mask, job.options)
        return input_fingerprint(open_image(job.path, job.options), mask, job.fingerprint)

    try:
        return with_retries(look)
    except ChunkmeansError:
        return ""


def _other(store: Store, name: str, row: Row | None) -> Row | str | None:
    """Return the row of a store that no job names; its path if nothing of it is of use.

    None where somebody else put it there.
    """
    path = image_path(name)
    try:
        image: SegmentedImage = open_result(store, path, allow_incomplete=True)
        if not image.complete:
            return path
        if row is not None and row.store == path and row.state in ("done", "warned"):
            return row
        return row_of_store(image, name)
    except ChunkmeansError as error:
        if is_transient(error):
            return row
        return None if store.files(path) else path
