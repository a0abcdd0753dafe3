"""dask-ml's k-means on Dask arrays over the TIFF, a block per shard of labels, with threads."""

from pathlib import Path
from time import perf_counter
from typing import Any

import dask
import dask.array as da
import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray

from tests.benchmarks.contenders.layout import Box, levels, writable
from tests.benchmarks.contenders.task import Stats, Task


def main() -> None:
    """Do the task that the command line names."""
    from dask_ml.cluster import KMeans

    task = Task.of_this_process()
    level = levels(task.shape, task.chunk, task.shard)[0]
    level.create(Path(task.labels))
    boxes = level.boxes()
    with (
        dask.config.set(scheduler="threads", num_workers=task.threads),
        tifffile.imread(task.image, aszarr=True) as store,
    ):
        pixels = zarr.open_array(store, mode="r")

        def read(box: Box) -> NDArray[np.float32]:
            return np.asarray(pixels[box]).reshape(-1, task.channels).astype(np.float32)

        begin = perf_counter()
        samples = da.concatenate(
            [
                da.from_delayed(
                    dask.delayed(read)(box),
                    (int(np.prod([s.stop - s.start for s in box])), task.channels),
                    np.float32,
                )
                for box in boxes
            ]
        ).persist()  # else every iteration reads the file
        begin_fit = perf_counter()
        kmeans = KMeans(
            n_clusters=task.k,
            init=np.array(task.means, np.float32),
            max_iter=task.iterations,
            tol=0,
        ).fit(samples)
        seconds = perf_counter() - begin_fit
        target = writable(task.labels)

        def write(labels: NDArray[Any], box: Box) -> None:
            target[box] = (labels + 1).astype(np.uint8).reshape([s.stop - s.start for s in box])

        parts = kmeans.labels_.to_delayed().ravel()
        dask.compute([dask.delayed(write)(p, b) for p, b in zip(parts, boxes, strict=True)])
    Stats(
        iterations=int(kmeans.n_iter_),
        # it computes the inertia in a pass of its own after the last iteration
        iteration_seconds=seconds / (int(kmeans.n_iter_) + 1),
        read_seconds=begin_fit - begin,
        means=np.asarray(kmeans.cluster_centers_, float).tolist(),
        inertia=float(kmeans.inertia_),
    ).write(task)


if __name__ == "__main__":
    main()
