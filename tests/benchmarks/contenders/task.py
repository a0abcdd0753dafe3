"""What a contender is asked to do, as JSON, and what it leaves."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Task:
    """The same for every contender, but for the folder."""

    image: str
    """Path of the TIFF."""
    shape: tuple[int, ...]
    """(y, x) or (z, y, x), pixels."""
    channels: int
    means: list[list[float]] | None
    """Means to start from, (k, channels); None: drawn, by ours only."""
    k: int
    iterations: int
    """The most iterations; T is 0."""
    chunk: int
    """Edge of a zarr chunk of labels, pixels."""
    shard: int
    """Edge of a stored object of labels, pixels."""
    output: str
    """Folder for everything the contender writes; does not exist yet."""
    threads: int
    memory: str | None = None
    """For ours only: ``memory`` of the config."""
    cluster: str | None = None
    """For ours only: ``--cluster``."""
    restarts: int = 1
    """For ours only."""
    program: str | None = None
    """For ours only: the ``chunkmeans`` that is measured; None: the one beside this Python."""

    @property
    def file(self) -> Path:
        """Where the task itself lies."""
        return Path(self.output) / "task.json"

    @property
    def labels(self) -> Path:
        """Where the full labels go."""
        return Path(self.output) / "labels.zarr" / "0"

    def write(self) -> None:
        """Write the task into its output folder."""
        Path(self.output).mkdir(parents=True)
        self.file.write_text(json.dumps(asdict(self)))

    @classmethod
    def of_this_process(cls) -> Self:
        """Return the task that the command line of this process names."""
        content: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
        return cls(**content | {"shape": tuple(content["shape"])})


@dataclass(frozen=True, slots=True)
class Stats:
    """What a contender says of itself; times in seconds, by its own clock."""

    iterations: int | None = None
    """How many it did."""
    iteration_seconds: float | None = None
    """One iteration, on average."""
    read_seconds: float | None = None
    """To decode the whole file once, from opening it to the last pixel."""
    means: list[list[float]] | None = None
    """What it ended with, (k, channels)."""
    phases: dict[str, float] | None = None
    """Of ours: each phase."""
    inertia: float | None = None

    def write(self, task: Task) -> None:
        """Write it into the output folder."""
        (Path(task.output) / "stats.json").write_text(json.dumps(asdict(self)))
