"""What an earlier run left: which results hold, which images are segmented again, and why."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from chunkmeans.errors import ChunkmeansError
from chunkmeans.results.models.models import model_pool
from chunkmeans.results.read.catalog import Row, read_catalog
from chunkmeans.results.read.open_results import SegmentedImage, open_segmented
from chunkmeans.results.store.plain_json import plain, to_json
from chunkmeans.results.store.store import CATALOG, Store
from chunkmeans.steps.job import Job
from chunkmeans.steps.resume.verdict import Verdict, verdict_of, verdict_of_other

CHECKS_IN_FLIGHT = 16
"""Stores and inputs that are looked at side by side: an object store takes its time."""
POOL = "pool"


@dataclass(frozen=True)
class Inventory:
    """What of an output holds."""

    rows: Mapping[str, Row] = field(default_factory=dict)
    """Of images that need not be segmented again, by id."""
    why: Mapping[str, str] = field(default_factory=dict)
    """Of those that had ended and are segmented again, by id."""
    stale: tuple[str, ...] = ()
    """Paths of stores that are to be deleted."""


def take_inventory(
    store: Store, jobs: Sequence[Job], settings: str, *, pooled: bool, retry_failed: bool
) -> Inventory:
    """Return what of an output holds, by the marks of its stores and by its catalogue.

    Where each image has its own means, images not named any more included. Where images share
    means, all of a group holds or nothing of it; of a group that is not whole no store is stale
    yet: the images that can be read decide which means it has, and so which labels stay its own.

    Parameters
    ----------
    settings
        Fingerprint of the settings and the algorithm.
    pooled
        Whether images share means.
    retry_failed
        Whether images that failed are tried again though their files are the same.
    """
    rows = {row.id: row for row in read_catalog(store)} if store.exists(CATALOG) else {}
    verdicts = _judged(store, rows, jobs, retry_failed)
    alone = {name: found.row for name, found in verdicts.items() if found.row is not None}
    kept = _rows_of_whole_groups(store, jobs, alone, settings) if pooled else alone
    why = {
        job.id: verdicts[job.id].reason or "another image of its group is not as it was"
        for job in jobs
        if job.id not in kept and (job.id in alone or verdicts[job.id].reason)
    }
    stale = tuple(found.stale for found in verdicts.values() if found.stale)
    return Inventory(kept, why, stale)


def _rows_of_whole_groups(
    store: Store, jobs: Sequence[Job], alone: Mapping[str, Row], settings: str
) -> dict[str, Row]:
    """Return what holds where images share means: all rows of a group, or none of it."""
    groups, kept = defaultdict(list), dict[str, Row]()
    for job in jobs:
        groups[job.group].append(job)
    for members in groups.values():
        found = {job.id: alone[job.id] for job in members if job.id in alone}
        if len(found) == len(members) and _group_holds(store, members, found, settings):
            kept |= found
    return kept


def _group_holds(
    store: Store, members: Sequence[Job], found: Mapping[str, Row], settings: str
) -> bool:
    """Whether a group of which every image holds has the means of just these images."""
    labelled = [row.store for row in found.values() if row.store]
    if not labelled:
        return True  # nothing can be read, or nothing is there to be labelled
    pooled = (job for job in members if found[job.id].state != "failed")
    images = ((j.id, found[j.id].fingerprint, plain(j.options.channels)) for j in pooled)
    pool = pool_of(settings, members[0].initial_means, images)
    return model_pool(store, members[0].group) == pool and all(
        labelled_in(store, path, pool) is not None for path in labelled
    )


def pool_of(settings: str, init: str | None, images: Iterable[tuple[str, str, Any]]) -> str:
    """Return the name of what images have in common that share means: the same pixels, the same.

    Parameters
    ----------
    settings
        Fingerprint of the settings and the algorithm.
    init
        Hash of the means that the fit begins with; None if they are drawn.
    images
        Of every pooled image: its id, its fingerprint, its channels.
    """
    listed = sorted(to_json([name, mark, channels]) for name, mark, channels in images)
    begin = [settings] if init is None else [settings, init]
    return sha256("\n".join([*begin, *listed]).encode()).hexdigest()[:32]


def labelled_in(store: Store, path: str, pool: str) -> SegmentedImage | None:
    """Return an image whose labels are complete and belong to this pool; None: it has none."""
    try:
        image = open_segmented(store, path)
        return image if image.attributes.get(POOL) == pool else None
    except ChunkmeansError:
        return None


def _judged(
    store: Store, rows: Mapping[str, Row], jobs: Sequence[Job], retry_failed: bool
) -> dict[str, Verdict]:
    """Return the verdicts of what jobs name, each for itself, and of stores that none names."""
    stored = store.image_names()
    there = set(stored)

    def judge(job: Job) -> Verdict:
        row, stored = rows.get(job.id), job.id in there
        return verdict_of(store, job, row, stored=stored, retry_failed=retry_failed)

    if there:
        with ThreadPoolExecutor(CHECKS_IN_FLIGHT, thread_name_prefix="inventory") as threads:
            found = list(threads.map(judge, jobs))
    else:
        found = list(map(judge, jobs))
    verdicts = {job.id: verdict for job, verdict in zip(jobs, found, strict=True)}
    others = [name for name in stored if name not in verdicts]
    return verdicts | {name: verdict_of_other(store, name, rows.get(name)) for name in others}
