"""The real command line in a process of its own, and what it left."""

import csv
import subprocess
import sys
from pathlib import Path

from tests.support.kills import written

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("chunkmeans")


def command(*arguments, out=None):
    """Return a command line of chunkmeans, with its results in `out`."""
    given = [str(PROGRAM), *map(str, arguments)]
    return given if out is None else [*given, "--set", f"results.path={out}"]


def chunkmeans(*arguments, out=None, code=0, seconds=240, before=(), **how):
    """Run chunkmeans to its end, which must be `code`; return what it said.

    Parameters
    ----------
    arguments
        Of the command line.
    out
        Where results go.
    code
        Exit code that is expected.
    seconds
        After which it is a failure.
    before
        What starts it, such as mpiexec.
    **how
        Of `subprocess.run`: `cwd`, `env`.
    """
    done = subprocess.run(
        [*before, *command(*arguments, out=out)], capture_output=True, text=True, check=False,
        timeout=seconds, **how,
    )  # fmt: skip
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def results_of(out):
    """Return every byte of a run's stores, and its catalogue without times and paths."""
    with (Path(out) / "catalog.csv").open(newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    for row in rows.values():
        del row["seconds"]
    return written(out), rows
