"""What is printed, and what is kept as JSON."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from subprocess import run
from typing import Any

import psutil

from tests.benchmarks.agreement import apart
from tests.benchmarks.cases import Case, Target
from tests.benchmarks.contenders.task import Task
from tests.benchmarks.inputs import Input
from tests.benchmarks.rounds import ROOT, Score

PACKAGES = (
    "chunkmeans", "dask", "dask-ml", "distributed", "imagecodecs", "numba", "numpy",
    "scikit-learn", "scikit-learn-intelex", "tifffile", "zarr",
)  # fmt: skip


def measured(target: Target, scores: Sequence[Score]) -> float | None:
    """Return the number that a target is about; None if a contender did not take part."""
    by_name = {score.name: score for score in scores if score.rounds}
    if target.contender not in by_name or target.against not in by_name:
        return None
    us, them = by_name[target.contender], by_name[target.against]
    if target.quantity == "speedup":
        return them.median("wall") / us.median("wall")
    if target.quantity == "slowdown":
        return us.median("wall") / them.median("wall")
    iteration = us.median_stat("iteration_seconds")
    quantity = "iteration_seconds" if target.quantity == "iteration_speedup" else "read_seconds"
    other = them.median_stat(quantity)
    if not iteration or not other:
        return None
    return other / iteration if target.quantity == "iteration_speedup" else iteration / other


def lines(case: Case, image: Input, task: Task, all_scores: Sequence[Score]) -> list[str]:
    """Return the outcome as lines for people."""
    scores = [score for score in all_scores if score.rounds]
    size = " x ".join(map(str, image.shape))
    found = [
        f"{case.name}: {case.summary}",
        f"  {size} pixels ({image.pixels / 1e6:.1f} M), {image.channels} x {image.dtype}, "
        f"{image.decoded / 2**20:.0f} MiB decoded, {image.path.stat().st_size / 2**20:.0f} MiB "
        f"in the file; k {task.k}, at most {task.iterations} iterations, T 0",
        f"  {os.cpu_count()} cores; medians of {len(scores[0].rounds)} runs, in turn"
        + (f"; memory: {task.memory}" if task.memory else ""),
        "",
        f"  {'':14}{'wall s':>8}{'min .. max':>18}{'CPU s':>9}{'peak MiB':>10}"
        f"{'iterations':>12}{'s each':>10}{'ratio':>8}",
    ]
    base = next((s for s in scores if s.name == "ours"), scores[0]).median("wall")
    for score in scores:
        walls = [r.measured.wall for r in score.rounds]
        iterations = score.median_stat("iterations")
        each = score.median_stat("iteration_seconds")
        spread = f"{min(walls):.2f} .. {max(walls):.2f}"
        found.append(
            f"  {score.name:14}{score.median('wall'):8.2f}{spread:>18}"
            f"{score.median('cpu'):9.2f}{score.median('peak') / 2**20:10.0f}"
            f"{'-' if iterations is None else f'{iterations:.0f}':>12}"
            f"{'-' if each is None else f'{each:.4f}':>10}"
            f"{score.median('wall') / base:8.2f}"
        )
    found.append("")
    for score in scores:
        if phases := score.rounds[-1].stats.phases:
            told = ", ".join(f"{name} {seconds:.2f}" for name, seconds in phases.items())
            found.append(f"  {score.name}, seconds by phase: {told}")
        elif (read := score.median_stat("read_seconds")) is not None:
            found.append(f"  {score.name} reads the file in {read:.2f} s")
    found += [line for score in scores if (line := _agreement_line(score, scores[0]))]
    found += [f"  {score.name} failed: {score.failure}" for score in all_scores if score.failure]
    found += _stopped_early(scores)
    found += [_target_line(target, scores) for target in case.targets]
    return found


def _agreement_line(score: Score, ours: Score) -> str | None:
    """Say how far the labels and means of a peer are ours."""
    agreement, stats = score.agreement, score.rounds[-1].stats
    if agreement is None:
        return None
    line = f"  {score.name}'s labels are ours in {agreement.share:.4%} of the pixels"
    means = ours.rounds[-1].stats.means
    if means and stats.means:
        difference = apart(means, stats.means, agreement.pairs)
        if difference is not None:
            line += f"; its means are up to {difference:.3g} from ours"
    return line


def _stopped_early(scores: Sequence[Score]) -> list[str]:
    """Say it where the contenders did not do the same number of iterations."""
    plain = [s for s in scores if s.name != "ours-restarts"]
    did = {s.name: s.median_stat("iterations") for s in plain}
    counts = {name: int(number) for name, number in did.items() if number is not None}
    if len(set(counts.values())) < 2:
        return []
    told = ", ".join(f"{name} {number}" for name, number in counts.items())
    return [f"  not the same number of iterations, as some stopped when nothing moved: {told}"]


def _target_line(target: Target, scores: Sequence[Score]) -> str:
    value = measured(target, scores)
    what = {
        "speedup": f"{target.contender} is faster than {target.against} by",
        "slowdown": f"{target.contender} takes, of the time of {target.against},",
        "iteration_speedup": f"an iteration is faster than one of {target.against} by",
        "iteration_over_read": f"an iteration costs, of decoding the file ({target.against}),",
    }[target.quantity]
    asked = f"{'at least' if target.higher_is_better else 'at most'} {_times(target.least)}"
    asked += f", aim {_times(target.aim)}"
    if value is None:
        return f"  target: {what} not measured ({asked})"
    met = value >= target.least if target.higher_is_better else value <= target.least
    return f"  target: {what} {_times(value)} ({asked}): {'met' if met else 'NOT MET'}"


def _times(value: float) -> str:
    return f"{value:.2f}x" if value >= 0.1 else f"1/{1 / value:.0f}"


def document(case: Case, image: Input, task: Task, scores: Sequence[Score]) -> dict[str, Any]:
    """Return everything as JSON values: machine, versions, settings, all rounds, targets."""
    settings = asdict(task)
    for private in ("image", "output", "shape", "channels", "program", "means"):
        del settings[private]
    return {
        "case": case.name,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": package_versions(),
        "commit": commit(),
        "image": {
            "name": image.path.name,
            "shape": image.shape,
            "channels": image.channels,
            "dtype": image.dtype,
            "file_bytes": image.path.stat().st_size,
            "decoded_bytes": image.decoded,
        },
        "settings": settings,
        "contenders": {score.name: score.as_dict() for score in scores},
        "targets": [{**asdict(t), "measured": measured(t, scores)} for t in case.targets],
    }


def machine() -> dict[str, Any]:
    """Return what this machine is, without its name."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in text.splitlines() if "model name" in line]
    return names[0] if names else platform.processor()


def package_versions() -> dict[str, str]:
    """Return the versions of what takes part, as far as it is installed."""
    return {name: found for name in PACKAGES if (found := _version(name))}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def commit() -> str | None:
    """Return the commit that is measured, marked if the tree differs from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:  # no git
        return None
    return done.stdout.strip() or None
