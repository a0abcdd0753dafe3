"""Who competes, by name, and the command line of each; a contender is a whole process.

Peers and floor are given a `Task` as a JSON file; they leave ``stats.json`` and a zarr array of
labels in its output folder. They import nothing of the project.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.benchmarks.contenders import ours
from tests.benchmarks.contenders.task import Stats, Task


@dataclass(frozen=True, slots=True)
class Contender:
    """One of those that compete."""

    name: str
    command: Callable[[Task], list[str]]
    """Prepares what the process needs, and returns its command line."""
    stats: Callable[[Task], Stats]
    """What is known of it after its process ended."""
    labels: Callable[[Task], Path] | None
    """Where its labels lie; None: it writes none that mean anything."""
    needs: tuple[str, ...] = ()
    """Packages that must be installed, as imported."""

    def missing(self) -> list[str]:
        """Return the packages that are not installed."""
        return [package for package in self.needs if find_spec(package) is None]


def _peer(name: str, module: str, needs: tuple[str, ...], labels: bool = True) -> Contender:
    def command(task: Task) -> list[str]:
        task.write()
        return [sys.executable, "-m", f"{__name__}.{module}", str(task.file)]

    def stats(task: Task) -> Stats:
        return Stats(**json.loads((Path(task.output) / "stats.json").read_text()))

    return Contender(name, command, stats, (lambda task: task.labels) if labels else None, needs)


def _ours(name: str, **changes: Any) -> Contender:
    return Contender(
        name,
        lambda task: ours.command(replace(task, **changes)),
        ours.stats,
        ours.labels,
        ("chunkmeans",),
    )


CONTENDERS = {
    contender.name: contender
    for contender in (
        _ours("ours"),
        _ours("ours-restarts", restarts=10),
        _peer("sklearn", "scikit", ("sklearn",)),
        _peer("sklearnex", "scikit_intel", ("sklearn", "sklearnex")),
        _peer("dask-ml", "daskml", ("dask_ml",)),
        _peer("floor", "floor", (), labels=False),
        _peer("read", "read", (), labels=False),
    )
}
