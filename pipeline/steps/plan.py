"""What a run would do, told before it does it: headers are read, no pixel is decoded."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from pipeline.config import Config
from pipeline.engines import engine_size
from pipeline.engines.base import Size
from pipeline.errors import ChunkmeansError, ConfigError, ResultError
from pipeline.steps.image import Job
from pipeline.steps.jobs import store_of
from pipeline.steps.ledger import refuse_other
from pipeline.steps.memory import LIBRARIES, most_pixels_of_a_task, plan_chunks


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
    problem: str = ""
    """Why it would fail; empty if it would not."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do and need."""

    images: tuple[PlannedImage, ...]
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
    """Tasks of one pass over all images."""
    nbytes: int
    """Decoded bytes of all images."""
    problems: tuple[str, ...]
    """Why the run would be refused; empty if it would not."""


def plan_of(config: Config, jobs: Sequence[Job]) -> Plan:
    """Return the plan of a run."""
    size = engine_size(config.cluster.kind, config.cluster.options, memory=config.memory)
    most = most_pixels_of_a_task(len(jobs), size)
    images, refused = [], []
    for job in jobs:
        image, error = planned(job, size, most)
        images.append(image)
        if isinstance(error, ConfigError) and config.kmeans.scope != "image":
            refused.append(str(error))
    try:
        refuse_other(store_of(config), config.settings())
    except ResultError as error:
        refused.append(str(error))
    need = max((image.need for image in images), default=0)
    return Plan(
        images=tuple(images),
        engine=config.cluster.kind,
        workers=size.workers,
        threads=size.threads,
        need=need,
        bound=size.memory,
        driver_need=LIBRARIES + TABLES,
        tasks=sum(image.chunks for image in images),
        nbytes=sum(image.nbytes for image in images),
        problems=tuple(dict.fromkeys(refused)),
    )


TABLES = 64 * 2**20
"""Bytes of the driver for tables that are merged."""


def planned(job: Job, size: Size, most: int) -> tuple[PlannedImage, ChunkmeansError | None]:
    """Return what would become of one image, up to `most` pixels in one task, and its problem."""
    try:
        source = job.open()
        info = source.info
        layout = job.output.layout(source, job.settings.k)
        if info.pixels <= most:
            size = size.of_one_task()
        shape, need = plan_chunks(info, layout, size, job.output.mean_image)
    except ChunkmeansError as error:
        return PlannedImage(job.id, job.path, problem=str(error)), error
    chunks = prod(-(-n // c) for n, c in zip(info.shape, shape, strict=True))
    image = PlannedImage(
        job.id, job.path, info.axes, info.shape, info.channels, str(info.dtype), chunks,
        info.nbytes, need.total,
    )  # fmt: skip
    return image, None
