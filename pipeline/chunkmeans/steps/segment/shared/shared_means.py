"""All images of a collection with one set of means: their pixels are pooled.

The means are those of k-means on one montage of all the images, bit for bit. An image that
cannot be read has no part in them: where one fails, the others are read again without it.
"""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from time import perf_counter
from typing import Any, Protocol

from chunkmeans.engines.base import Engine, Outcome, WorkerKilled
from chunkmeans.engines.worker.attempt import attempt
from chunkmeans.errors import ChunkmeansError, ClusterError, SourceError
from chunkmeans.events import PhaseFinished, PhaseStarted, Watcher
from chunkmeans.features.validity import common
from chunkmeans.kmeans.counting.collect import Collected
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.fit import LARGEST_MAGNITUDE
from chunkmeans.kmeans.model import Model
from chunkmeans.results.read.catalog import Row
from chunkmeans.results.read.record import fingerprint
from chunkmeans.results.store.plain_json import plain
from chunkmeans.steps.chunk import Bundle, Chunk, Input
from chunkmeans.steps.job import Job
from chunkmeans.steps.plan.memory import bundled, cut, plan_chunks
from chunkmeans.steps.resume.outcome import Ending, advanced, failed
from chunkmeans.steps.resume.saved import Saved, subject_of
from chunkmeans.steps.resume.saved_samples import SavedSamples
from chunkmeans.steps.resume.what_holds import POOL, pool_of
from chunkmeans.steps.segment.batches import one_by_one
from chunkmeans.steps.segment.collect import collect_bundle, settled
from chunkmeans.steps.segment.iterate import iterate
from chunkmeans.steps.segment.label import merge_counted
from chunkmeans.steps.segment.one_image import skipped
from chunkmeans.steps.segment.phases import phase
from chunkmeans.steps.segment.shared.members import Member, label_members, open_members

SUBJECT = "collection"


@dataclass(frozen=True, slots=True)
class Gathered:
    """What reading some chunks of several images leaves: a commutative monoid under `merge`."""

    collected: Collected | None
    failures: Mapping[str, Exception]
    """By id of the image."""

    def merge(self, other: "Gathered") -> "Gathered":
        """Return what both parts together leave."""
        both = [c for c in (self.collected, other.collected) if c is not None]
        collected = both[0].merge(both[1]) if len(both) == 2 else both[0] if both else None
        return Gathered(collected, {**self.failures, **other.failures})


def gather_bundle(bundle: Bundle) -> Gathered:
    """Collect the samples of a few chunks, noting the images that fail: what one task does.

    Where one fails, what was collected is of no use: the others are read again without it.
    """
    outcome = attempt(collect_bundle, bundle)
    if outcome.error is None and not _too_large(outcome.unwrap()):
        return Gathered(outcome.unwrap(), {})
    failures = {}
    for chunk in bundle:
        alone = attempt(collect_bundle, (chunk,))
        if alone.error is not None:
            failures[chunk.source.id] = alone.error
        elif number := _too_large(alone.unwrap()):
            failures[chunk.source.id] = SourceError(
                f"{chunk.source.image.path}: a pixel holds {number:g}; squared distances are "
                f"computed in float64 and need numbers up to {LARGEST_MAGNITUDE:g}: set "
                "images.nodata if it stands for missing data"
            )
    return Gathered(None if failures else collect_bundle(bundle), failures)


def _too_large(collected: Collected) -> float:
    """Return a number of the pixels that no mean can be computed with; 0.0: there is none."""
    if not collected.pixels:
        return 0.0
    ends = [*map(float, collected.lowest), *map(float, collected.highest)]
    number = max(ends, key=abs)
    return number if abs(number) > LARGEST_MAGNITUDE else 0.0


def read_through(bundle: Bundle) -> None:
    """Read a few chunks for nothing but the error it may raise."""
    for chunk in bundle:
        for _ in chunk.read():
            pass


class Shared(Protocol):
    """Where a pooled fit leaves its model, and finds what was labelled by it before."""

    def whole(self, pool: str, jobs: Sequence[Job]) -> Sequence[Row]:
        """Return the rows of `jobs`, if the model is of `pool` and so are the labels of all."""
        ...

    def begin(self, pool: str, jobs: Iterable[Job]) -> Mapping[str, tuple[Row, Moments]]:
        """Return the rows and exact totals of `jobs` that are labelled by means of `pool`."""
        ...

    def keep(self, model: Model, attributes: Mapping[str, Any]) -> None:
        """Take the model of all images."""
        ...


def segment_collection(
    jobs: Sequence[Job], engine: Engine, watch: Watcher, shared: Shared
) -> Iterator[Ending]:
    """Segment all images with one set of means; yields how each ended.

    What concerns all of them (means or weights that do not fit, say) fails all that have not
    ended yet, each with that reason, and nothing else of the run.

    Parameters
    ----------
    shared
        Takes the model of all images once they are labelled; not where none has a pixel. Images
        that it has labels of by means of the same pixels are not labelled again.
    """
    ended: set[str] = set()
    try:
        for ending in _segment(jobs, engine, watch, shared):
            ended.add(ending.row.id)
            yield ending
    except ClusterError:
        raise
    except (ChunkmeansError, OSError) as error:
        left = [job for job in jobs if job.id not in ended]
        if not left:
            raise  # there is nobody to say it
        for job in left:
            yield failed(job, error)
    finally:
        engine.release(SUBJECT)


def _segment(
    jobs: Sequence[Job], engine: Engine, watch: Watcher, shared: Shared
) -> Iterator[Ending]:
    """Do what `segment_collection` does, but raise what concerns all images."""
    output = jobs[0].output
    saved = Saved(output.store, subject_of(jobs[0].group), watch, samples=output.samples)
    opened = yield from _opened(jobs, engine)
    if opened and (rows := shared.whole(pool_name(opened), [m.job for m in opened])):
        yield from map(Ending, rows)  # others were tried again, and failed again
        saved.finish()
        return
    members, collected = yield from gather(opened, engine, watch, saved.samples)
    if collected is None:
        return
    pool = pool_name(members)
    before = shared.begin(pool, (member.job for member in members))
    members = [in_pool(member, pool) for member in members]
    settings = members[0].job.settings
    bundles, going = _bundles(members, engine), saved.fit(settings)
    fit = iterate(engine, bundles, collected, settings, SUBJECT, watch, going)
    engine.release(SUBJECT)
    total: Moments | None = None
    for row, written in before.values():
        yield Ending(row)
        total = merge_counted(total, written)
    left = [member for member in members if member.job.id not in before]
    begin, whole = perf_counter(), True
    watch(PhaseStarted("images", SUBJECT, 0, len(left)))
    for ending, counted in label_members(left, fit, engine, watch):
        watch(advanced(ending))
        yield ending
        total = merge_counted(total, counted)
        whole = whole and ending.row.state != "failed"
    watch(PhaseFinished("images", SUBJECT, perf_counter() - begin))
    if total is not None:
        shared.keep(fit.model(total), {POOL: pool, "pixels": pixels_of(members[0].source)})
    if whole:  # else the next run labels the rest, by these means
        saved.finish()


def pool_name(members: Sequence[Member]) -> str:
    """Return what names the pixels of these images, and how they are fitted."""
    settings = members[0].job.output.attributes.get("settings", {})
    images = ((m.job.id, m.source.fingerprint, plain(m.job.options.channels)) for m in members)
    return pool_of(fingerprint(settings), members[0].job.initial_means, images)


def in_pool(member: Member, pool: str) -> Member:
    """Return the image with a job that writes down to which pool its labels belong."""
    output = member.job.output
    kept = replace(output, attributes={**output.attributes, POOL: pool})
    return replace(member, job=replace(member.job, output=kept))


def pixels_of(source: Input) -> dict[str, Any]:
    """Return what a model says of the pixels that it is of."""
    return {"dtype": str(source.dtype), "channels": source.info.channels}


def gather(
    members: list[Member], engine: Engine, watch: Watcher, saved: SavedSamples
) -> Generator[Ending, None, tuple[list[Member], Collected | None]]:
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
        yield from (Ending(skipped(m.job, m.source, 0.0)) for m in members)
        return [], None
    return members, collected


def _opened(jobs: Sequence[Job], engine: Engine) -> Generator[Ending, None, list[Member]]:
    """Return the images that can be pooled, in the order of `jobs`; yields how others ended."""
    members: dict[str, Member] = {}
    for outcome in one_by_one(engine, open_members, jobs, name="open"):
        if outcome.error is not None:
            yield from (failed(job, outcome.error) for job in outcome.item)
            continue
        for opened in outcome.unwrap():
            if isinstance(opened, Member):
                members[opened.job.id] = opened
            else:
                yield opened
    ordered = [members[job.id] for job in jobs if job.id in members]
    if not ordered:
        return []
    channels = _usual([m.source.info.channels for m in ordered])
    example = next(m.job.path for m in ordered if m.source.info.channels == channels)
    alike = []
    for member in ordered:
        if member.source.info.channels == channels:
            alike.append(member)
        else:
            error = SourceError(
                f"{member.job.path}: has {member.source.info.channels} channels, most of the "
                f"collection has {channels} (as {example}); choose images.channels, or take it out"
            )
            yield failed(member.job, error)
    fitting = []
    for member in _of_one_type(alike):
        try:
            _chunks(member, engine)
            fitting.append(member)
        except ChunkmeansError as error:
            yield failed(member.job, error)
    return _of_one_type(fitting)


def _of_one_type(members: Sequence[Member]) -> list[Member]:
    """Return images whose samples are of the one type that holds all of them."""
    if not members:
        return []
    dtype = common([member.source.info.dtype for member in members])
    return [replace(m, source=replace(m.source, dtype=dtype)) for m in members]


def _usual(channels: list[int]) -> int:
    """Return the most frequent number of channels, the first of equals."""
    return max(dict.fromkeys(channels), key=channels.count)


def _bundles(members: Sequence[Member], engine: Engine) -> list[Bundle]:
    """Return the chunks of all images, in bundles."""
    each = (_chunks(member, engine) for member in members)
    return bundled(list(chain.from_iterable(each)), engine.size)


def _chunks(member: Member, engine: Engine) -> Iterator[Chunk]:
    """Return the chunks of an image; raises a `ConfigError` if the memory is too small for it."""
    output = member.job.output
    layout = output.layout(member.source, member.job.settings.k)
    source = member.source
    shape, need = plan_chunks(source.info, source.dtype, layout, engine.size, output.mean_image)
    return cut(source, shape, need.hold, SUBJECT)


def _read(
    members: Sequence[Member], engine: Engine, watch: Watcher, saved: SavedSamples
) -> Mapping[str, Exception]:
    """Read what is not known of images; returns what failed by id: there is more to be read then.

    What a batch of chunks leaves is saved, unless a chunk of it failed.
    """
    saved.recall([member.source for member in members])
    every = chain.from_iterable(_chunks(member, engine) for member in members)
    left = bundled(saved.missing(every), engine.size)
    broken: dict[str, Exception] = {}
    if not left:
        return broken
    with phase("read", SUBJECT, left, watch) as told:
        for batch in saved.batches(left, engine.threads):
            gathered = _gather(batch, engine, told)
            if failures := gathered.failures or _changed(batch):
                broken |= failures
            elif gathered.collected is not None:
                saved.add(batch, gathered.collected)
    return broken


def _changed(bundles: Sequence[Bundle]) -> Mapping[str, Exception]:
    """Return those images, by id, whose files are not any more what was to be read."""
    changed: dict[str, Exception] = {}
    sources = {chunk.source.id: chunk.source for bundle in bundles for chunk in bundle}
    for name, source in sources.items():
        try:
            source.check_unchanged()
        except SourceError as error:
            changed[name] = error
    return changed


def _gather(
    bundles: Sequence[Bundle], engine: Engine, told: Callable[[Outcome[Bundle, None]], None]
) -> Gathered:
    """Read a few bundles; where an image kills its worker, find out which."""
    try:
        return engine.map_reduce(gather_bundle, bundles, Gathered.merge, name="collect", watch=told)
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
