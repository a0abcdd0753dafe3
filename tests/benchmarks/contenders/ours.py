"""chunkmeans by its command line, and what its log says."""

import json
import shutil
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import zarr

from tests.benchmarks.contenders.task import Stats, Task


def command(task: Task) -> list[str]:
    """Write the config, and return ``chunkmeans run CONFIG``."""
    task.write()
    config = Path(task.output) / "config.yaml"
    settings: dict[str, Any] = {
        "images": {"path": task.image},
        "kmeans": {
            "k": task.k,
            "init": "random" if task.means is None else {"means": task.means},
            "restarts": task.restarts,
            "threshold": 0,
            "max_iterations": task.iterations,
        },
        "results": {"path": str(results(task)), "chunk": task.chunk, "shard": task.shard},
        "memory": task.memory,
    }
    config.write_text(json.dumps(settings, indent=1))  # JSON is YAML
    return [
        *program(task.program),
        "run",
        str(config),
        *([] if task.cluster is None else ["--cluster", task.cluster]),
    ]


def program(given: str | None = None) -> list[str]:
    """Return how chunkmeans is called: as `given`, else by the script beside this Python."""
    script = given or shutil.which("chunkmeans", path=str(Path(sys.executable).parent))
    return [script] if script else [sys.executable, "-c", "from chunkmeans.cli import main; main()"]


def results(task: Task) -> Path:
    """Return where the run's results go."""
    return Path(task.output) / "results"


def store(task: Task) -> Path:
    """Return the label store of the one image."""
    (found,) = (results(task) / "images").glob("*.ome.zarr")
    return found


def labels(task: Task) -> Path:
    """Return where the full labels lie."""
    return store(task) / "0"


def stats(task: Task) -> Stats:
    """Return what the log of the run and the model in its store say."""
    lines = (results(task) / "logs" / "run.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    phases: dict[str, float] = {}
    for event in events:
        if event["event"] == "PhaseFinished":
            phases[event["phase"]] = phases.get(event["phase"], 0.0) + event["seconds"]
    told = sum(event["event"] == "Iterated" for event in events)
    model = dict(zarr.open_group(str(store(task)), mode="r").attrs["chunkmeans"])["model"]
    return Stats(
        # a small image is one task, which does not tell of its iterations
        iterations=len(model["residuals"]) if "residuals" in model else told,
        iteration_seconds=_seconds_per_iteration(events),
        read_seconds=phases.get("read"),
        means=model.get("means"),
        phases=phases,
        inertia=model.get("inertia"),
    )


def _seconds_per_iteration(events: list[dict[str, Any]]) -> float | None:
    """Return the average time from one iteration's end to the next; None if there is only one.

    Within a start: what lies between starts is no iteration.
    """
    times: dict[int, list[float]] = {}
    for event in events:
        if event["event"] == "Iterated":
            when = datetime.fromisoformat(event["time"]).timestamp()
            times.setdefault(event["restart"], []).append(when)
    further = sum(len(t) - 1 for t in times.values())
    return sum(t[-1] - t[0] for t in times.values()) / further if further else None
