"""The plan of a run: headers are read, no pixel is decoded.

Of many images a sample is looked at. A header that is refused is what will become of that image,
and no reason to refuse the run.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any

import numpy as np

from chunkmeans.config import Config
from chunkmeans.engines import engine_size, job_script
from chunkmeans.engines.base import Engine, Size
from chunkmeans.errors import ChunkmeansError, ConfigError, ResultError, SourceError
from chunkmeans.events import Note, Watcher, ignore
from chunkmeans.features.validity import common
from chunkmeans.kmeans.fit import check_channels
from chunkmeans.steps.job import Job, Opened
from chunkmeans.steps.plan.jobs import store_of
from chunkmeans.steps.plan.memory import TooLittleMemory, driver_bytes, plan_chunks, planned_bytes
from chunkmeans.steps.resume.owner import previous_run


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """What a run would make of one image."""

    id: str
    path: str
    axes: str = ""
    shape: tuple[int, ...] = ()
    channels: int = 0
    dtype: str = ""
    chunks: int = 0
    """Chunks it is cut into."""
    nbytes: int = 0
    """Decoded bytes."""
    need: int = 0
    """Bytes a worker needs for it."""
    planned: int = 0
    """Bytes of all workers, with what they keep of it, and of this process if it is another."""
    driver: int = 0
    """Bytes this process needs for it beside its libraries."""
    problem: str = ""
    """Why it would fail; empty if it would not."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do and need."""

    images: tuple[PlannedImage, ...]
    """Those whose headers were looked at: all, or a sample of many."""
    engine: str
    """Kind of the engine."""
    workers: int
    threads: int
    """Tasks at the same time, over all workers."""
    need: int
    """Bytes the hungriest image takes of a worker."""
    bound: int
    """Bytes a worker may use."""
    driver_need: int
    """Bytes this process needs."""
    tasks: int
    """Tasks of one pass over all images; of a sample, estimated."""
    nbytes: int
    """Decoded bytes of all images; of a sample, estimated."""
    problems: tuple[str, ...]
    """Why the run would be refused; empty if it would not."""
    assumed: bool = False
    """Whether what a worker has is not known; `bound` is then what is free on this machine."""
    unopened: int = 0
    """Images of the run beyond those looked at."""
    script: str = ""
    """What a batch system would be given for each job, or Kubernetes for all; "" elsewhere."""

    @property
    def inputs(self) -> int:
        """Images that a run would have."""
        return len(self.images) + self.unopened


def plan_of(config: Config, jobs: Sequence[Job], watch: Watcher = ignore) -> Plan:
    """Return the plan of a run; of more than `SAMPLE` images that many are looked at."""

    def say(text: str) -> None:
        watch(Note(text, "warning"))

    size = engine_size(config.cluster, memory=config.memory, notify=say)
    tuning = jobs[0].tuning
    most = tuning.most_pixels_of_a_task(len(jobs), size)
    looked = min(len(jobs), SAMPLE)
    sample = [jobs[number * len(jobs) // looked] for number in range(looked)]
    found = looks_at(sample, partial(plan_image, size=size, most=most), config.kmeans.pooled)
    images = [image for image, _ in found if image]
    unfit = [str(error) for _, error in found if isinstance(error, ConfigError)]
    refused = unfit if len(unfit) == looked else []
    try:
        previous_run(store_of(config), config.settings())
    except ResultError as error:
        refused.append(str(error))
    return Plan(
        images=tuple(images),
        engine=config.cluster.kind,
        workers=size.workers,
        threads=size.threads,
        need=max((image.need for image in images), default=0),
        bound=size.memory,
        assumed=size.assumed,
        driver_need=tuning.libraries + max((image.driver for image in images), default=0),
        tasks=sum(image.chunks for image in images) * len(jobs) // max(1, looked),
        nbytes=sum(image.nbytes for image in images) * len(jobs) // max(1, looked),
        problems=tuple(dict.fromkeys(refused)),
        unopened=len(jobs) - looked,
        script=job_script(config.cluster, memory=config.memory),
    )


SAMPLE = 100
"""Images, spread over the list, whose headers a plan looks at where there are more."""

LOOKED_AT = 8
"""Images whose headers are looked at before a run starts."""


Look = tuple[PlannedImage | None, Exception | None]
"""What would become of an image, and its problem."""


def looks_at(
    jobs: Sequence[Job],
    look: Callable[..., Look],
    pooled: bool,
    each: Callable[[Callable[[Job], Look], Sequence[Job]], Iterable[Look]] = map,
) -> list[Look]:
    """Look at images; again at those of a pool that are worked on in a wider type than theirs.

    Parameters
    ----------
    look
        `plan_image`, of a machine.
    pooled
        Whether images, or those of a group, share their means.
    each
        Calls a function for every job.
    """
    found = list(each(look, jobs))
    types = defaultdict(set)
    for job, (image, _) in zip(jobs, found, strict=True):
        if pooled and image and image.dtype:
            types[job.group].add(np.dtype(image.dtype))
    for group in [group for group, several in types.items() if len(several) > 1]:
        places = [i for i, job in enumerate(jobs) if job.group == group]
        with suppress(ConfigError):  # no type holds all: the run fails by it
            wider = partial(look, dtype=common(sorted(types[group], key=str)))
            again = each(wider, [jobs[i] for i in places])
            for i, looked in zip(places, again, strict=True):
                found[i] = looked
    return found


def plan_image(
    job: Job, size: Size, most: int, dtype: np.dtype[Any] | None = None
) -> tuple[PlannedImage, ChunkmeansError | None]:
    """Return what would become of one image, up to `most` pixels in one task, and its problem.

    `dtype` is that of its samples in a pool; None: its own.
    """
    image = PlannedImage(job.id, job.path)
    tasks, bound = size.workers, size.memory * (size.workers + size.apart)
    apart = job.tuning.libraries if size.apart else 0
    try:
        source = job.look()
        info = source.info
        image = replace(
            image, axes=info.axes, shape=info.shape, channels=info.channels,
            dtype=str(info.dtype), nbytes=source.image.info.nbytes,
        )  # fmt: skip
        check_channels(job.settings, info.channels)
        if dtype is not None:
            source = replace(source, dtype=dtype)
        layout = Opened(job, source).layout
        if info.pixels <= most:
            tasks, size = size.threads, size.of_one_task()
        shape, need = plan_chunks(source, layout, size, job.output.asked.mean_image)
    except ChunkmeansError as error:
        need_of_it = error.need if isinstance(error, TooLittleMemory) else 0
        return replace(image, need=need_of_it, problem=str(error)), error
    except Exception as error:  # one odd header never stops a plan
        reason = f"{job.path}: {type(error).__name__}: {error}"
        return replace(image, problem=reason), SourceError(reason)
    chunks = prod(-(-n // c) for n, c in zip(info.shape, shape, strict=True))
    driver = driver_bytes(source, layout) if tasks == size.workers else 0
    return replace(
        image,
        chunks=chunks,
        need=need.total,
        planned=min(bound, planned_bytes(source, need, tasks) + (apart and apart + driver)),
        driver=driver,
    ), None


def refuse_hopeless(jobs: Sequence[Job], engine: Engine, pooled: bool = False) -> int:
    """Refuse a run before its start where the config fits none of its first images.

    Looks at a few headers, where the images will be read: one that kills its process, or never
    comes back, costs no more than itself. An image that cannot be read, or does not fit by
    itself, is its own failure and not the run's. Returns the bytes that workers and driver are
    planned to use for the hungriest of those images.

    Raises
    ------
    ConfigError
        Of the first image, if every one of them has such an error.
    """
    size = engine.size
    most = jobs[0].tuning.most_pixels_of_a_task(len(jobs), size)
    look = partial(plan_image, size=size, most=most)

    def each(look: Callable[[Job], Look], some: Sequence[Job]) -> Iterable[Look]:
        looks = {o.item.id: o for o in engine.map(look, some, name="look")}
        return [looks[job.id].value or (None, looks[job.id].error) for job in some]

    found = looks_at(jobs[:LOOKED_AT], look, pooled, each)
    unfit = [error for _, error in found if isinstance(error, ConfigError)]
    if len(unfit) == len(found):
        raise unfit[0]
    return max((image.planned for image, _ in found if image), default=0)
