"""The case ``folder``: a folder of small JPEGs, one store each, against a plain loop.

And how the memory of driver and workers grows with the number of images.
"""

import csv
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Any

from tests.benchmarks import measure
from tests.benchmarks.contenders.ours import program
from tests.benchmarks.jpegs import SIZE, TINY, make_folder
from tests.benchmarks.measure import Measured
from tests.benchmarks.report import commit, machine, package_versions
from tests.benchmarks.rounds import ROOT

IMAGES = 400
K = 5
TARGET, LEAST, AIM = "loop", 6.0, 12.0
"""Times that ours is faster than this peer: what must be reached, what would be good."""
KIND = "threads"
"""``cluster.kind`` of ours in the race; `MEMORY_KIND` where memory is looked at."""
MEMORY_KIND = "local"
FLAT = 32 * 2**20
"""Bytes by which ten times the images may raise a peak and still be called flat."""

PEERS: dict[str, dict[str, Any]] = {
    "loop": {},
    "loop-to-rest": {"init": "random", "tol": 0, "max_iter": 1000},
}
"""Arguments of scikit-learn's KMeans beside the number of labels, and one start.

`loop` is what its documentation would have one write: k-means++, and an end as soon as the means
move by less than 1e-4 of the variance, after a third of the iterations. `loop-to-rest` does what
ours does: random pixels to start from, and no end before nothing moves.
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One process over the whole folder."""

    measured: Measured
    iterations: tuple[int, ...]
    """Of each image."""
    inertias: tuple[float, ...]


def race(
    images: int, runs: int, data: Path, cluster: str, peers: Sequence[str],
    told: Callable[[str], None], given: str | None = None,
) -> dict[str, list[Run]]:  # fmt: skip
    """Run ours and its peers over the same folder in turn, and return all runs by name.

    Ours is the program that is `given`, else the one beside this Python.
    """
    told(f"a folder of {images} images")
    folder = make_folder(images, data)
    found: dict[str, list[Run]] = {name: [] for name in ("ours", *peers)}
    for path in sorted(folder.glob("*.jpg")):
        path.read_bytes()  # into the system's cache
    # ext4 looks long for a new file's number where others were deleted a minute ago, so all that
    # is written is kept to the end
    with TemporaryDirectory(prefix="runs-folder-", dir=data) as outputs:
        _ours(_first(folder, data), Path(outputs, "0"), cluster, 1, given)  # compiles, if need be
        for turn in range(1, runs + 1):
            for name, done in found.items():
                output = Path(outputs, f"{turn}-{name}")
                if name == "ours":
                    done.append(_ours(folder, output, cluster, images, given))
                else:
                    done.append(_peer(folder, output, PEERS[name], images))
                told(f"run {turn} of {runs}: {name} {done[-1].measured.wall:.2f} s")
    return found


def _first(folder: Path, data: Path) -> Path:
    """Return a folder with one of the images."""
    one = data / "jpegs-first"
    one.mkdir(exist_ok=True)
    shutil.copyfile(folder / "000000.jpg", one / "000000.jpg")
    return one


def _ours(folder: Path, output: Path, cluster: str, images: int, given: str | None) -> Run:
    output.mkdir(parents=True)
    config = output / "config.yaml"
    settings = {
        "images": {"path": str(folder)},
        "kmeans": {"k": K, "threshold": 0},
        "results": {"path": str(output / "results")},
        "cluster": {"kind": cluster},
    }
    config.write_text(json.dumps(settings))  # JSON is YAML
    os.sync()
    measured = measure.run([*program(given), "run", str(config)], ROOT, output / "log")
    with (output / "results" / "catalog.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    stores = len(list((output / "results" / "images").glob("*.ome.zarr")))
    if not len(rows) == stores == images or not {row["state"] for row in rows} <= {
        "done",
        "warned",
    }:
        raise RuntimeError(f"ours did not segment all {images} images: {len(rows)}, {stores}")
    return Run(
        measured,
        tuple(int(row["iterations"]) for row in rows),
        tuple(float(row["inertia"]) for row in rows),
    )


def _peer(folder: Path, output: Path, kmeans: dict[str, Any], images: int) -> Run:
    output.mkdir(parents=True)
    task = output / "task.json"
    task.write_text(
        json.dumps({"folder": str(folder), "output": str(output), "k": K, "kmeans": kmeans})
    )
    os.sync()
    command = [sys.executable, "-m", "tests.benchmarks.contenders.loop", str(task)]
    measured = measure.run(command, ROOT, output / "log")
    iterations, inertias = json.loads((output / "stats.json").read_text())
    if len(list(output.glob("*.npy"))) != images:
        raise RuntimeError(f"the loop did not segment all {images} images")
    return Run(measured, tuple(iterations), tuple(inertias))


def speedup(runs: dict[str, list[Run]], peer: str) -> float | None:
    """Return the wall time of a peer over ours, medians; None if it did not take part."""
    if not runs.get(peer):
        return None
    return _wall(runs[peer]) / _wall(runs["ours"])


def _wall(runs: Sequence[Run]) -> float:
    return median(run.measured.wall for run in runs)


def race_lines(runs: dict[str, list[Run]], images: int, cluster: str) -> list[str]:
    """Return the outcome of the race as lines for people."""
    lines = [
        f"folder: {images} JPEGs of {SIZE[0]} x {SIZE[1]} pixels, a store each, k {K}, T 0",
        f"  {os.cpu_count()} cores; medians of {len(runs['ours'])} runs, in turn; ours with "
        f"cluster.kind: {cluster}",
        "",
        f"  {'':14}{'wall s':>8}{'min .. max':>18}{'CPU s':>9}{'peak MiB':>10}"
        f"{'ms/image':>10}{'iterations':>12}{'ratio':>8}",
    ]
    base = _wall(runs["ours"])
    for name, done in runs.items():
        walls = [run.measured.wall for run in done]
        spread = f"{min(walls):.2f} .. {max(walls):.2f}"
        lines.append(
            f"  {name:14}{_wall(done):8.2f}{spread:>18}"
            f"{median(run.measured.cpu for run in done):9.2f}"
            f"{median(run.measured.peak for run in done) / 2**20:10.0f}"
            f"{_wall(done) / images * 1e3:10.1f}{mean(done[-1].iterations):12.1f}"
            f"{_wall(done) / base:8.2f}"
        )
    lines.append("")
    ours = runs["ours"][-1].inertias
    for name, done in runs.items():
        if name != "ours":
            ratio = median(a / b for a, b in zip(ours, done[-1].inertias, strict=True) if b)
            lines.append(f"  inertia of ours over that of {name}: {ratio:.4f} (median of images)")
    value = speedup(runs, TARGET)
    if value is not None:
        met = "met" if value >= LEAST else "NOT MET"
        lines.append(
            f"  target: ours is faster than {TARGET} by {value:.2f}x "
            f"(at least {LEAST:.0f}x, aim {AIM:.0f}x): {met}"
        )
    return lines


def grow(
    numbers: Sequence[int], data: Path, told: Callable[[str], None], given: str | None = None
) -> list[tuple[int, Measured]]:
    """Run ours over folders of ever more tiny images, and return what each took."""
    found = []
    for images in numbers:
        told(f"a folder of {images} images of {TINY[0]} x {TINY[1]} pixels")
        folder = make_folder(images, data, TINY)
        with TemporaryDirectory(prefix="runs-folder-", dir=data) as output:
            done = _ours(folder, Path(output, "ours"), MEMORY_KIND, images, given)
        found.append((images, done.measured))
    return found


def memory_lines(grown: Sequence[tuple[int, Measured]]) -> list[str]:
    """Return how memory grew with the number of images, as lines for people."""
    lines = [
        f"folder: images of {TINY[0]} x {TINY[1]} pixels, cluster.kind: {MEMORY_KIND}",
        f"  {'images':>8}{'driver MiB':>12}{'worker MiB':>12}{'wall s':>9}{'CPU s':>9}",
    ]
    for images, measured in grown:
        lines.append(
            f"  {images:8}{measured.first / 2**20:12.0f}{measured.other / 2**20:12.0f}"
            f"{measured.wall:9.1f}{measured.cpu:9.1f}"
        )
    if len(grown) > 1:
        (few, least), (many, most) = grown[0], grown[-1]
        rise = {"driver": most.first - least.first, "worker": most.other - least.other}
        for name, nbytes in rise.items():
            lines.append(
                f"  {name}: {nbytes / 2**20:+.0f} MiB from {few} to {many} images, "
                f"{nbytes / (many - few):.0f} bytes an image: "
                f"{'flat' if nbytes <= FLAT else 'NOT FLAT'}"
            )
    return lines


def document(
    runs: dict[str, list[Run]], images: int, cluster: str, grown: Sequence[tuple[int, Measured]]
) -> dict[str, Any]:
    """Return everything as JSON values."""
    return {
        "case": "folder",
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": package_versions(),
        "commit": commit(),
        "settings": {"images": images, "size": SIZE, "k": K, "cluster": cluster, "peers": PEERS},
        "contenders": {
            name: [
                {
                    **asdict(run.measured),
                    "iterations": mean(run.iterations),
                    "inertia": sum(run.inertias),
                }
                for run in done
            ]
            for name, done in runs.items()
        },
        "memory": [{"images": n, **asdict(measured)} for n, measured in grown],
        "targets": [
            {"against": TARGET, "least": LEAST, "aim": AIM, "measured": speedup(runs, TARGET)}
        ],
    }
