"""Rounds: every contender in turn on the same file, several times."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks import measure
from tests.benchmarks.agreement import Agreement, compare
from tests.benchmarks.contenders import CONTENDERS
from tests.benchmarks.contenders.task import Stats, Task
from tests.benchmarks.measure import Measured

ROOT = Path(__file__).parents[2]
"""Where ``python -m tests.benchmarks`` works."""


WARMED = ("ours", "dask-ml")
"""Contenders that compile when they first run: they run once unmeasured, with one iteration."""


@dataclass(frozen=True, slots=True)
class Round:
    """One process of one contender."""

    measured: Measured
    stats: Stats


@dataclass(frozen=True, slots=True)
class Score:
    """All rounds of one contender."""

    name: str
    rounds: tuple[Round, ...]
    agreement: Agreement | None = None
    """Of its last labels with those of ours."""
    failure: str = ""
    """Why it has no rounds: a peer may run out of memory; ours may not."""

    def median(self, of: str) -> float:
        """Return the median of a field of `Measured`."""
        return float(median(getattr(r.measured, of) for r in self.rounds))

    def median_stat(self, of: str) -> float | None:
        """Return the median of a field of `Stats`, of the rounds that know it."""
        known = [value for r in self.rounds if (value := getattr(r.stats, of)) is not None]
        return float(median(known)) if known else None

    def as_dict(self) -> dict[str, Any]:
        """Return everything but means as JSON values."""
        rounds = [{**asdict(r.measured), **asdict(r.stats)} for r in self.rounds]
        for one in rounds:
            del one["means"]
        return {
            "rounds": rounds,
            "failure": self.failure or None,
            "agreement": None if self.agreement is None else asdict(self.agreement),
        }


def compete(
    task: Task, names: Sequence[str], rounds: int, folder: Path, told: Callable[[str], None]
) -> list[Score]:
    """Run the contenders in turn (A B A B ...) and return their scores.

    Before each, the file is read into the system's cache; before all, `WARMED` run once.

    Parameters
    ----------
    task
        What to do; its `output` is set here.
    names
        Of `CONTENDERS`.
    rounds
        Times that each runs.
    folder
        For what they write; removed by the caller.
    told
        Called with a line for people as things go on.

    Raises
    ------
    RuntimeError
        If ours fails.
    """
    done: dict[str, list[Round]] = {name: [] for name in names}
    failures: dict[str, str] = {}
    turns = [(0, name) for name in names if name in WARMED]
    turns += [(turn, name) for turn in range(1, rounds + 1) for name in names]
    for turn, name in turns:
        if name in failures:
            continue
        try:
            one = _once(task if turn else replace(task, iterations=1), name, folder)
        except RuntimeError as error:
            if name.startswith("ours"):
                raise
            told(str(error))
            failures[name] = str(error).splitlines()[-1]
            done[name].clear()
            continue
        if turn:
            done[name].append(one)
        what = f"run {turn} of {rounds}" if turn else "warm-up"
        told(f"{what}: {name} {one.measured.wall:.2f} s")
    scores = []
    for name in names:
        contender = CONTENDERS[name]
        agreement = None
        if (
            name not in ("ours", *failures)
            and task.means is not None
            and contender.labels
            and done["ours"]
        ):
            agreement = compare(
                CONTENDERS["ours"].labels(_task(task, "ours", folder)),
                contender.labels(_task(task, name, folder)),
                task.k,
            )
        scores.append(Score(name, tuple(done[name]), agreement, failures.get(name, "")))
    return scores


def _task(task: Task, name: str, folder: Path) -> Task:
    return replace(task, output=str(folder / name))


def _once(task: Task, name: str, folder: Path) -> Round:
    task = _task(task, name, folder)
    shutil.rmtree(task.output, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    command = CONTENDERS[name].command(task)
    _read_through(Path(task.image))  # a system may have dropped it while another took its time
    os.sync()  # what the last one wrote does not wait to be written while this one is measured
    measured = measure.run(command, ROOT, folder / f"{name}.log")
    return Round(measured, CONTENDERS[name].stats(task))


def _read_through(path: Path) -> None:
    """Read a file into the system's cache."""
    with path.open("rb") as file:
        while file.read(2**24):
            pass
