"""What no segmentation can beat: every tile decoded once, one pyramid of labels written.

Plain tifffile and zarr with threads; the label of a pixel is a shift of its first channel. A
thread has a shard: it decodes the shard's tiles, and writes its labels and its part of the smaller
levels, made by striding. Same codec, shards and levels as chunkmeans.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from time import perf_counter

import numpy as np

from tests.benchmarks.contenders.layout import Box, levels, writable
from tests.benchmarks.contenders.task import Stats, Task
from tests.benchmarks.contenders.tiles import Tiles, trivial_label


def main() -> None:
    """Do the task that the command line names."""
    task = Task.of_this_process()
    pyramid = levels(task.shape, task.chunk, task.shard)
    paths = [Path(task.output) / "labels.zarr" / str(n) for n in range(len(pyramid))]
    for level, path in zip(pyramid, paths, strict=True):
        level.create(path)
    arrays = [writable(path) for path in paths]
    with Tiles(task.image) as tiles, ThreadPoolExecutor(task.threads) as pool:
        if any(s % t for s, t in zip(pyramid[0].shard[-2:], tiles.edge, strict=True)) and any(
            s < n for s, n in zip(pyramid[0].shard[-2:], task.shape[-2:], strict=True)
        ):
            raise ValueError(f"shards {pyramid[0].shard} cut tiles {tiles.edge}: decoded twice")
        clock = Clock()

        def label(box: Box) -> None:
            begin = perf_counter()
            labels = np.empty([s.stop - s.start for s in box], np.uint8)
            *depth, rows, columns = box
            pages = range(depth[0].start, depth[0].stop) if depth else range(1)
            for at, page in enumerate(pages):
                plane = labels[at] if depth else labels
                for index, y, x in tiles.inside(rows, columns):
                    target = plane[
                        y.start - rows.start : y.stop - rows.start,
                        x.start - columns.start : x.stop - columns.start,
                    ]
                    target[...] = trivial_label(tiles.decode((page, index)))
            clock.add(perf_counter() - begin)
            for level, array in zip(pyramid, arrays, strict=True):
                if not level.with_block:
                    break
                array[box] = labels
                labels = labels[(slice(None, None, 2),) * labels.ndim]
                box = tuple(slice(s.start // 2, -(-s.stop // 2)) for s in box)

        list(pool.map(label, pyramid[0].boxes()))
        for n, level in enumerate(pyramid):
            if not level.with_block:

                def halve(box: Box, n: int = n) -> None:
                    below = tuple(slice(2 * s.start, 2 * s.stop, 2) for s in box)
                    arrays[n][box] = arrays[n - 1][below]

                list(pool.map(halve, level.boxes()))
    Stats(read_seconds=clock.seconds / min(task.threads, len(pyramid[0].boxes()))).write(task)


class Clock:
    """Seconds of all threads together."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._lock = Lock()

    def add(self, seconds: float) -> None:
        """Add what one thread took for something."""
        with self._lock:
            self.seconds += seconds


if __name__ == "__main__":
    main()
