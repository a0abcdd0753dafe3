"""Whether two versions of the program leave the same results: every file of a few runs, compared.

``python -m tests.same_results --old A --new B`` runs the quickstart, a folder of JPEGs (means of
each image and of all), a float volume and a run that is killed and resumed by each of two commands,
such as ``chunkmeans`` of two versions that share their other packages. It compares what lies in
``results/`` byte for byte. What may differ is listed by its kind and counted: times, versions and
measured memory; fingerprints of settings and of code; keys that only one version writes; wording.
Anything else ends it with exit code 1.
"""

import argparse
import csv
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.jpegs import make_folder

ROOT = Path(__file__).parents[1]

KINDS = {
    "times": r"(^|\.)(seconds|started|finished|before|since)$",
    "measured memory": r"^memory\.(planned|peak)$",
    "versions": r"(^|\.)(versions\..*|format|algorithm|reading|reader)$",
    "fingerprint of settings and code": r"^fingerprint$|\.(pool|generation)$",
    "wording": r"(^|\.)(reason|problems\.\d+|reservations\.\d+)$",
}
"""What may differ, by a pattern of the place: keys of JSON joined by dots, or a CSV's column."""

KILLED = {"what was left to the last attempt": r"^images\.(pending|ended|others)$|^totals\."}
"""What may differ, too, where runs are killed: no two die at the same image."""

CONFIGS = {
    "jpegs, a fit each": "images: {{path: {folder}}}\nkmeans: {{k: 5, init: kmeans++}}\n",
    "jpegs, one fit": "images: {{path: {folder}}}\nkmeans: {{k: 5, scope: collection}}\n",
    "float volume": (
        "images: {{path: {volume}, axes: zyx}}\nfeatures: {{scale: standard}}\nkmeans: {{k: 4}}\n"
    ),
}


def main() -> int:
    """Run, compare, and print a line for each case and each kind of difference."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--old", required=True, help="command that runs the old version")
    asked.add_argument("--new", required=True, help="command that runs the new version")
    asked.add_argument("--images", type=int, default=400, help="JPEGs of the folder")
    asked.add_argument("--work", type=Path, help="folder to work in; left there at the end")
    given = asked.parse_args()
    work = given.work or Path(tempfile.mkdtemp(prefix="same-results-"))
    work.mkdir(parents=True, exist_ok=True)
    places = {"folder": make_folder(given.images, work), "volume": volume(work)}
    bad = 0
    for name, text in cases(places).items():
        for side, command in (("old", given.old), ("new", given.new)):
            run(command, text, work / side / name.replace(" ", "-"), killed="killed" in name)
        allowed = KINDS | KILLED if "killed" in name else KINDS
        sides = [work / side / name.replace(" ", "-") for side in ("old", "new")]
        found = compared(*sides, allowed)
        bad += report(name, found)
    if given.work is None and not bad:
        shutil.rmtree(work)
    return int(bad > 0)


def volume(work: Path) -> Path:
    """Return a float volume with missing voxels, (24, 96, 80)."""
    path = work / "volume.npy"
    if not path.exists():
        rng = np.random.default_rng(7)
        values = rng.normal(0, 1, (24, 96, 80)).cumsum(axis=2).astype(np.float32)
        values[:, :5, :5] = np.nan
        np.save(path, values)
    return path


def cases(places: dict[str, Path]) -> dict[str, str]:
    """Return the config of each case, by its name."""
    found = {"quickstart": (ROOT / "configs" / "quickstart.yaml").read_text()}
    for name, text in CONFIGS.items():
        found[name] = text.format(**places) + "results: {path: results/out}\n"
    found["jpegs, killed and resumed"] = found["jpegs, a fit each"]
    return found


def run(command: str, config: str, folder: Path, *, killed: bool) -> None:
    """Run a config in a folder of its own; with `killed` in three attempts, two of them killed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "c.yaml").write_text(config)
    words = [*shlex.split(command), "run", "c.yaml"]
    for stores in (40, 120) if killed else ():
        process = subprocess.Popen(
            words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None and complete(folder) < stores:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if process.returncode != -signal.SIGKILL:
            raise SystemExit(f"{folder}: ended before it could be killed; take more --images")
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{shlex.join(words)} in {folder}:\n{done.stdout}{done.stderr}")


def complete(folder: Path) -> int:
    """Return how many stores of a run are complete."""
    found = 0
    for path in folder.glob("results/*/images/*.zarr/zarr.json"):
        try:
            found += json.loads(path.read_text())["attributes"]["chunkmeans"]["complete"]
        except (ValueError, KeyError, OSError):
            continue
    return found


def compared(old: Path, new: Path, allowed: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each difference of two folders of results: its kind, "" where none allows it; words."""
    sides = [
        {p.relative_to(side / "results"): p for p in (side / "results").rglob("*") if p.is_file()}
        for side in (old, new)
    ]
    for path in sorted(sides[0].keys() | sides[1].keys()):
        if "logs" in path.parts:
            continue  # lines of JSON with times
        yield "files compared", str(path)
        if path not in sides[0] or path not in sides[1]:
            yield "", f"{path}: only in the {'old' if path in sides[0] else 'new'} results"
            continue
        a, b = (side[path].read_bytes() for side in sides)
        if a == b:
            continue
        if path.suffix not in (".json", ".csv"):
            yield "", f"{path}: other bytes"
            continue
        values = [dict(leaves(parsed(path, content))) for content in (a, b)]
        for place in sorted(values[0].keys() | values[1].keys()):
            one, two = (found.get(place) for found in values)
            if one == two:
                continue
            yield kind_of(place, values, allowed), f"{path}: {place}: {one!r} and {two!r}"
        if values[0] == values[1]:
            yield "", f"{path}: the same values in other bytes"


def parsed(path: Path, content: bytes) -> Any:
    """Return what a JSON or CSV file holds; rows of a CSV by their first columns."""
    if path.suffix == ".json":
        return json.loads(content)
    rows = csv.DictReader(content.decode().splitlines())
    return [dict(row) for row in rows]


def leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of JSON and where they stand."""
    if isinstance(value, dict):
        pairs: Any = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    else:
        yield place, value
        return
    for key, inside in pairs:
        yield from leaves(inside, f"{place}.{key}".lstrip("."))


def kind_of(place: str, values: list[dict[str, Any]], allowed: dict[str, str]) -> str:
    """Return which kind of difference stands at a place; "" if it may not be."""
    for kind, pattern in allowed.items():
        if re.search(pattern, place):
            return kind
    if place not in values[0]:
        return "keys that only the new version writes"
    return ""


def report(name: str, found: Iterator[tuple[str, str]]) -> int:
    """Print what was found of a case; return how many differences may not be."""
    kinds: Counter[str] = Counter()
    examples: dict[str, str] = {}
    bad = []
    for kind, words in found:
        kinds[kind] += 1
        examples.setdefault(kind, words)
        if not kind:
            bad.append(words)
    print(f"{name}: {kinds.pop('files compared', 0)} files, {len(bad)} differences that may not be")
    for kind in sorted(kinds.keys() - {""}):
        print(f"    {kind}: {kinds[kind]}, such as {examples[kind]}")
    for words in bad[:10]:
        print(f"    NOT ALLOWED: {words}", file=sys.stdout)
    return len(bad)


if __name__ == "__main__":
    sys.exit(main())
