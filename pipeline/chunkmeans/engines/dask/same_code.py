"""Whether the workers run the same code of chunkmeans as this process; others are refused.

Two checkouts have the same number, so the number comes with a hash of all sources.
"""

import asyncio
import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from distributed import Client

from chunkmeans.errors import ClusterError
from chunkmeans.version import __version__

VERSION_TIMEOUT = 60.0
"""Seconds that workers have for an answer, at most: the first one imports us, from slow disks."""


@cache
def code_version() -> tuple[str, str]:
    """Return the number of this chunkmeans, and a hash of its sources."""
    return __version__, _hash_of(Path(__file__).parents[2])


def refuse_other_code(client: Client, wait: float, notify: Callable[[str], object]) -> None:
    """Refuse workers that run another chunkmeans.

    One that does not answer is passed over with a call of `notify`, as long as another one does.

    Raises
    ------
    ClusterError
        If a worker has another chunkmeans or none, or if no worker answers.
    """
    here = code_version()
    asked = list(client.scheduler_info(n_workers=-1)["workers"])
    seconds = min(wait, VERSION_TIMEOUT)
    there: dict[str, Any] = client.sync(_answers, client, asked, seconds / 2)
    for worker, answer in there.items():
        if isinstance(answer, Exception):  # the worker's own text: No module named 'chunkmeans'
            raise ClusterError(
                f"the workers cannot run chunkmeans: {worker}: {answer}; install chunkmeans "
                f"{here[0]} there, the same as here"
            ) from answer
        number, code = answer
        if number != here[0]:
            found = f"chunkmeans {number}, this is {here[0]}"
        elif code != here[1]:
            found = f"other code of chunkmeans {number} ({code[:12]}, this is {here[1][:12]})"
        else:
            continue
        raise ClusterError(f"worker {worker} has {found}; install the same")
    silent = [worker for worker in asked if worker not in there]
    if silent:
        who = f"{silent[0]} and {len(silent) - 1} more" if silent[1:] else silent[0]
        if not there:
            raise ClusterError(
                f"no worker answers: {who} silent for {seconds:g} seconds; see whether their "
                "processes and hosts are well, or start others"
            )
        notify(f"passed over, silent for {seconds:g} seconds: worker {who}; see whether it is well")


async def _answers(client: Client, workers: list[str], seconds: float) -> dict[str, Any]:
    """Return what workers answer, or their errors; of those that do within twice the time.

    All at once is one message to the scheduler, but its answer waits for the last of them.
    Those that cannot be reached, or went meanwhile, are left out.
    """

    async def ask(some: list[str]) -> dict[str, Any]:
        asked = client.run(code_version, workers=some, on_error="return")
        try:
            answers = await asyncio.wait_for(asked, seconds)
        except TimeoutError:
            return {}
        return {w: answer for w, answer in answers.items() if not isinstance(answer, OSError)}

    found = await ask(workers)
    if not found:
        for each in await asyncio.gather(*(ask([worker]) for worker in workers)):
            found |= each
    return found


def _hash_of(folder: Path) -> str:
    """Return a hash of all Python sources below a folder, names included."""
    text = hashlib.sha256()
    for name, path in sorted((p.relative_to(folder).as_posix(), p) for p in folder.rglob("*.py")):
        content = path.read_bytes()
        text.update(f"{name}\0{len(content)}\0".encode())
        text.update(content)
    return text.hexdigest()
