"""What the tests of the steps begin with: small images in a folder, and their jobs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from chunkmeans import make_config
from chunkmeans.sources.array import MemoryImage
from chunkmeans.steps.chunk import open_input
from chunkmeans.steps.plan.jobs import jobs_of

from tests.test_exactness import picture

MEANS = [[10.0], [90.0], [200.0]]


def config(folder, **sections):
    """Return a config of the images in ``in`` with results in ``out``."""
    return make_config(
        images={"path": str(Path(folder) / "in"), "axes": "yxc", **sections.pop("images", {})},
        kmeans={"k": 3, "init": {"means": MEANS}, **sections.pop("kmeans", {})},
        results={"path": str(Path(folder) / "out"), "chunk": 4, "shard": 8},
        cluster={"kind": "serial"},
        **sections,
    )


def save_images(folder, number=4):
    """Write that many small grey images into ``in``."""
    (Path(folder) / "in").mkdir()
    for i in range(number):
        np.save(Path(folder) / "in" / f"image{i}.npy", picture("uint8", 1, (12 + i, 10), seed=i))


def jobs(folder, number=4, **sections):
    """Write small images, and return a job for each."""
    save_images(folder, number)
    return jobs_of(config(folder, **sections))


def source(array, axes="yxc", **how):
    """Return an array as an input."""
    return open_input("array", MemoryImage(array, axes), **how)


MANY_TASKS = {
    "small_pixels": 0,
    "small_and_few_pixels": 0,
    "chunk_pixels": 1,
    "bundle_pixels": 1,
}
"""Cut even the smallest image into tasks of a shard each."""


def in_many_tasks(jobs):
    """Return the jobs, cut into tasks of a shard each."""
    return [replace(job, tuning=replace(job.tuning, **MANY_TASKS)) for job in jobs]
