"""All images of a collection with one set of means: their pixels are pooled.

The means are those of k-means on one montage of all the images, bit for bit. An image that
cannot be read has no part in them: where one fails, the others are read again without it.
"""

from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import chain

from chunkmeans.engines.base import Engine, WorkerKilled
from chunkmeans.engines.worker.attempt import attempt
from chunkmeans.errors import ChunkError, ChunkmeansError, ClusterError, SourceError
from chunkmeans.events import COLLECTION, Watcher
from chunkmeans.features.validity import common
from chunkmeans.kmeans.counting.collect import Collected
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.fit import check_magnitude
from chunkmeans.results.read.record import settings_fingerprint
from chunkmeans.results.store.plain_json import plain
from chunkmeans.steps.chunk import Bundle, Chunk, Input
from chunkmeans.steps.job import Job, Opened
from chunkmeans.steps.plan.memory import bundled, planned_chunks
from chunkmeans.steps.resume.catalog_rows import skipped_row
from chunkmeans.steps.resume.group_results import LedgerGroup
from chunkmeans.steps.resume.inventory import POOL, pool_of
from chunkmeans.steps.resume.outcome import Ending, failed
from chunkmeans.steps.resume.saved import Saved, subject_of
from chunkmeans.steps.resume.saved_samples import SavedSamples
from chunkmeans.steps.segment.collect import collect_bundle, settled
from chunkmeans.steps.segment.iterate import iterate
from chunkmeans.steps.segment.label import merge_counted
from chunkmeans.steps.segment.scan import Finished, Scan
from chunkmeans.steps.segment.shared.members import fitting, label_members, open_all


@dataclass(frozen=True, slots=True)
class Gathered:
    """What reading some chunks of several images leaves: a commutative monoid under `merge`."""

    collected: Collected | None
    failures: Mapping[str, Exception]
    """By id of the image."""

    def merge(self, other: "Gathered") -> "Gathered":
        """Return what both parts together leave."""
        both = [c for c in (self.collected, other.collected) if c is not None]
        collected = reduce(Collected.merge, both) if both else None
        return Gathered(collected, {**self.failures, **other.failures})


def gather_bundle(bundle: Bundle) -> Gathered:
    """Collect the samples of a few chunks, with the images that fail: what one task does.

    Where one fails, what was collected is of no use: the others are read again without it.
    """
    outcome = attempt(_collect_usable, bundle)
    if outcome.error is None:
        return Gathered(outcome.unwrap(), {})
    failures = {}
    for chunk in bundle:
        error = attempt(_collect_usable, (chunk,)).error
        if error is not None:
            failures[chunk.source.id] = error
    return Gathered(None if failures else collect_bundle(bundle), failures)


def _collect_usable(bundle: Bundle) -> Collected:
    """Collect samples; raises for the first image if no mean can be computed with a number."""
    collected = collect_bundle(bundle)
    if collected.pixels:
        try:
            check_magnitude(collected)
        except ChunkError as error:
            raise SourceError(f"{bundle[0].source.image.path}: {error}") from error
    return collected


def read_through(bundle: Bundle) -> None:
    """Read a few chunks for nothing but the error it may raise."""
    for chunk in bundle:
        for _ in chunk.read():
            pass


def segment_collection(
    jobs: Sequence[Job], engine: Engine, watch: Watcher, results: LedgerGroup
) -> Iterator[Ending]:
    """Segment all images with one set of means; yields how each ended.

    What concerns all of them (means or weights that do not fit, say) fails all that have not
    ended yet, each with that reason, and nothing else of the run.

    Parameters
    ----------
    results
        Takes the model of all images once they are labelled; not where none has a pixel. Images
        that it has labels of by means of the same pixels are not labelled again.
    """
    ended: set[str] = set()
    try:
        for ending in _segment(jobs, engine, watch, results):
            ended.add(ending.row.id)
            yield ending
    except ClusterError:
        raise
    except (ChunkmeansError, OSError) as error:
        left = [job for job in jobs if job.id not in ended]
        if not left:
            raise  # no image is left that could have it as its reason
        for job in left:
            yield failed(job, error)
    finally:
        engine.release(COLLECTION)


def _segment(
    jobs: Sequence[Job], engine: Engine, watch: Watcher, results: LedgerGroup
) -> Iterator[Ending]:
    """Do what `segment_collection` does, but raise what concerns all images."""
    output = jobs[0].output
    saved = Saved(output.store, subject_of(jobs[0].group), watch)
    opened = yield from open_all(jobs, engine)
    opened = yield from _poolable(opened, engine)
    if opened and (rows := results.whole(pool_name(opened), [m.job for m in opened])):
        yield from map(Ending, rows)  # others were tried again, and failed again
        saved.finish(samples=output.asked.samples)
        return
    members, collected = yield from read_members(opened, engine, watch, saved)
    if collected is None:
        return
    pool = pool_name(members)
    before = results.begin(pool, (member.job for member in members))
    # every store records to which pool its labels belong
    members = [replace(m, job=m.job.with_attributes(**{POOL: pool})) for m in members]
    settings = members[0].job.settings
    chunks = chain.from_iterable(planned_chunks(m, engine.size, COLLECTION) for m in members)
    scan = Scan(engine, COLLECTION, bundled(chunks, engine.size), watch)
    fit = iterate(scan, collected, settings, saved.fit(settings))
    engine.release(COLLECTION)  # labelling reads image by image, in chunks of another shape
    total: Moments | None = None
    for row, written in before.values():
        yield Ending(row)
        total = merge_counted(total, written)
    left, whole = [member for member in members if member.job.id not in before], True
    for ending in label_members(left, fit, engine, watch):
        yield ending
        total = merge_counted(total, ending.written)
        whole = whole and ending.row.state != "failed"
    if total is not None:
        source = members[0].source
        pixels = {"dtype": str(source.dtype), "channels": source.info.channels}
        results.keep(fit.model(total), {POOL: pool, "pixels": pixels})
    if whole:  # else the next run labels the rest, by these means
        saved.finish(samples=output.asked.samples)


def pool_name(members: Sequence[Opened]) -> str:
    """Return what names the pixels of these images, and how they are fitted."""
    settings = members[0].job.output.attributes.get("settings", {})
    images = ((m.job.id, m.source.fingerprint, plain(m.job.options.channels)) for m in members)
    return pool_of(settings_fingerprint(settings), members[0].job.initial_means, images)


def read_members(
    members: list[Opened], engine: Engine, watch: Watcher, saved: SavedSamples
) -> Generator[Ending, None, tuple[list[Opened], Collected | None]]:
    """Read all images that can be read and are not known yet; yields how the others ended.

    Returns those images, and what their pixels leave: None where there is no valid pixel (then
    every image has its ending).
    """
    while members:
        broken = _read(members, engine, watch, saved)
        if not broken:
            break
        yield from (failed(m.job, broken[m.job.id]) for m in members if m.job.id in broken)
        members = [m for m in members if m.job.id not in broken]
    if not members:
        return [], None
    collected = settled(saved, watch)
    if not collected.pixels:
        yield from (Ending(skipped_row(m.job, m.source, 0.0)) for m in members)
        return [], None
    return members, collected


def _poolable(opened: Sequence[Opened], engine: Engine) -> Generator[Ending, None, list[Opened]]:
    """Return the images that can be pooled, in their order; yields how others ended."""
    if not opened:
        return []
    counts = [member.source.info.channels for member in opened]
    channels = max(dict.fromkeys(counts), key=counts.count)  # most frequent, first of equals
    example = next(m.job.path for m in opened if m.source.info.channels == channels)

    def as_most(member: Opened) -> None:
        found = member.source.info.channels
        if found != channels:
            raise SourceError(
                f"{member.job.path}: has {found} channels, most of the collection has {channels} "
                f"(as {example}); choose images.channels, or take it out"
            )

    alike = yield from fitting(opened, as_most)
    # planned in the type of all, and then in that of those which memory is enough for
    able = yield from fitting(
        _of_one_type(alike), lambda member: planned_chunks(member, engine.size, COLLECTION)
    )
    return _of_one_type(able)


def _of_one_type(members: Sequence[Opened]) -> list[Opened]:
    """Return images whose samples are of the one type that holds all of them."""
    if not members:
        return []
    dtype = common([member.source.info.dtype for member in members])
    return [replace(m, source=replace(m.source, dtype=dtype)) for m in members]


def _read(
    members: Sequence[Opened], engine: Engine, watch: Watcher, saved: SavedSamples
) -> Mapping[str, Exception]:
    """Read what is not known of images; returns what failed by id: there is more to be read then.

    What a batch of chunks leaves is saved, unless a chunk of it failed.
    """
    saved.recall([member.source for member in members])
    every = chain.from_iterable(planned_chunks(m, engine.size, COLLECTION) for m in members)
    left = bundled(saved.missing(every), engine.size)
    broken: dict[str, Exception] = {}
    if not left:
        return broken
    with Scan(engine, COLLECTION, left, watch).phase("read") as finished:
        for batch in saved.batches(left, engine.threads):
            gathered = _gather(batch, engine, finished)
            if failures := gathered.failures or _changed(batch):
                broken |= failures
            elif gathered.collected is not None:
                saved.add(batch, gathered.collected)
    return broken


def _changed(bundles: Sequence[Bundle]) -> Mapping[str, Exception]:
    """Return those images, by id, whose files are not any more what was to be read."""
    sources = {chunk.source.id: chunk.source for bundle in bundles for chunk in bundle}
    found = {name: attempt(Input.check_unchanged, source) for name, source in sources.items()}
    return {name: outcome.error for name, outcome in found.items() if outcome.error is not None}


def _gather(bundles: Sequence[Bundle], engine: Engine, finished: Finished) -> Gathered:
    """Read a few bundles; where an image kills its worker, one by one."""
    try:
        return engine.map_reduce(
            gather_bundle, bundles, Gathered.merge, name="collect", watch=finished
        )
    except WorkerKilled:
        images: dict[str, list[Chunk]] = defaultdict(list)
        for chunk in chain.from_iterable(bundles):
            images[chunk.source.id].append(chunk)
        killers = {
            outcome.item[0].source.id: outcome.error
            for outcome in engine.map(read_through, map(tuple, images.values()), name="read")
            if outcome.error is not None
        }
        if not killers:
            raise
        return Gathered(None, killers)
