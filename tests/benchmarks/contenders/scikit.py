"""scikit-learn's k-means on the whole image in memory, as its documentation would have it."""

from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import tifffile

from tests.benchmarks.contenders.layout import levels, writable
from tests.benchmarks.contenders.task import Stats, Task


def main() -> None:
    """Do the task that the command line names."""
    from sklearn.cluster import KMeans

    segment(Task.of_this_process(), KMeans)


def segment(task: Task, estimator: Any) -> None:
    """Read the TIFF, fit scikit-learn's `KMeans` or its like, write the labels."""
    begin = perf_counter()
    image = tifffile.imread(task.image, maxworkers=task.threads)
    read = perf_counter() - begin
    samples = image.reshape(-1, task.channels).astype(np.float32, copy=False)
    del image
    begin = perf_counter()
    kmeans = estimator(
        n_clusters=task.k,
        init=np.array(task.means, np.float32),
        n_init=1,
        max_iter=task.iterations,
        tol=0,
        algorithm="lloyd",
        copy_x=False,  # the samples are our own copy already: less memory, less time
    ).fit(samples)
    seconds = perf_counter() - begin
    labels = (kmeans.labels_ + 1).astype(np.uint8).reshape(task.shape)
    level = levels(task.shape, task.chunk, task.shard)[0]
    level.create(Path(task.labels))
    writable(task.labels)[...] = labels
    Stats(
        iterations=int(kmeans.n_iter_),
        # it assigns labels once more after the last iteration, which costs about as much
        iteration_seconds=seconds / (int(kmeans.n_iter_) + 1),
        read_seconds=read,
        means=kmeans.cluster_centers_.astype(float).tolist(),
        inertia=float(kmeans.inertia_),
    ).write(task)


if __name__ == "__main__":
    main()
