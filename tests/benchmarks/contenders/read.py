"""Decodes every tile of the file once, with threads, and drops it: how long reading takes."""

from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from tests.benchmarks.contenders.task import Stats, Task
from tests.benchmarks.contenders.tiles import Tile, Tiles


def main() -> None:
    """Do the task that the command line names."""
    task = Task.of_this_process()
    begin = perf_counter()
    with Tiles(task.image) as tiles, ThreadPoolExecutor(task.threads) as pool:

        def touch(batch: list[Tile]) -> int:
            return sum(tiles.decode(tile).shape[0] for tile in batch)

        every = tiles.all()
        list(pool.map(touch, [every[i : i + 16] for i in range(0, len(every), 16)]))
    Stats(read_seconds=perf_counter() - begin).write(task)


if __name__ == "__main__":
    main()
