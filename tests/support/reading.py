"""Opens and reads suspicious files in processes of their own, and tells what became of each."""

import multiprocessing
import resource
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from chunkmeans.engines.base import Size
from chunkmeans.errors import ChunkmeansError
from chunkmeans.image.grid import Box, pieces, split
from chunkmeans.results.write.layout import plan_labels
from chunkmeans.sources import open_image
from chunkmeans.steps.chunk import open_input
from chunkmeans.steps.plan.memory import plan_chunks

MEMORY = 2**30
"""Bytes that the plan of an image may ask for."""
CHUNKS = 4
"""Chunks of an image that are read."""


@dataclass(frozen=True)
class Read:
    """What became of one file."""

    path: str
    end: str
    """``read``, ``refused`` (an error of ours), ``error`` (another), ``hung`` or ``died``."""
    reason: str = ""
    seconds: float = 0.0
    peak: int = 0
    """Most bytes that the process has held so far."""


def read(path: str) -> Read:
    """Open a file and read its first chunks, as a run would."""
    begin = perf_counter()

    def ended(end: str, reason: str = "") -> Read:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return Read(path, end, reason, perf_counter() - begin, peak)

    try:
        image = open_image(path)
        info = image.info
        layout = plan_labels(info, 3)
        source = open_input(path, image)
        chunk, _ = plan_chunks(source, layout, Size(1, 1, MEMORY), False)
        for _, box in zip(range(CHUNKS), split(Box.whole(info.shape), chunk), strict=False):
            for part in pieces(box, info.chunks, 2**22):
                pixels = image.read(part)
                np.add.reduce(pixels.values, axis=None)
    except ChunkmeansError as error:
        return ended("refused", str(error))
    except Exception as error:
        return ended("error", f"{type(error).__name__}: {error}")
    return ended("read")


def _serve(calls: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (16 * MEMORY, 16 * MEMORY))
    while True:
        try:
            path = calls.recv()
        except EOFError:
            return
        calls.send(read(path))


class _Reader:
    """A process that reads one file after the other."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.calls, theirs = context.Pipe()
        self.process: Any = context.Process(target=_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def end(self) -> int:
        """End it, and return its exit status."""
        self.calls.close()
        self.process.join(1)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        return int(self.process.exitcode)


def read_all(
    paths: Iterable[str | Path], *, seconds: float = 240, workers: int = 2
) -> Iterator[Read]:
    """Yield what became of each file; a process that hangs or dies costs its file only."""
    waiting = iter([str(path) for path in paths])
    busy: dict[_Reader, tuple[str, float]] = {}

    def give(reader: _Reader) -> None:
        path = next(waiting, None)
        if path is None:
            reader.end()
            return
        reader.calls.send(path)
        busy[reader] = (path, perf_counter())

    for _ in range(workers):
        give(_Reader())
    while busy:
        ready = wait([reader.calls for reader in busy], timeout=1)
        for reader, (path, begin) in list(busy.items()):
            found = None
            if reader.calls in ready:
                try:
                    found = reader.calls.recv()
                except EOFError:
                    found = Read(path, "died", f"exit status {reader.end()}")
            elif perf_counter() - begin > seconds:
                reader.process.kill()
                reader.end()
                found = Read(path, "hung", f"more than {seconds:g} s", seconds)
            if found is not None:
                del busy[reader]
                give(_Reader() if found.end in ("hung", "died") else reader)
                yield found


if __name__ == "__main__":
    for one in read_all(
        sorted(p for p in Path(sys.argv[1]).rglob("*.*") if not p.is_dir() or p.is_symlink())
    ):
        print(
            one.end,
            f"{one.seconds:.2f}",
            one.peak >> 20,
            one.path,
            one.reason.replace("\n", " ")[:300],
        )
