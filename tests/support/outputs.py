"""Four small images in the current folder, and what a run of them left."""

import json
from pathlib import Path

import numpy as np
from chunkmeans import open_run
from chunkmeans.results.store.store import IMAGES, METADATA

from tests.test_exactness import picture


def save_four():
    """Write images a to d into ``in``."""
    Path("in").mkdir()
    for i, name in enumerate("abcd"):
        np.save(f"in/{name}.npy", picture("uint8", 1, (20 + i, 24), seed=i))


def by_state(out="out"):
    """Return the ids of a catalogue by their state."""
    found = {}
    for row in open_run(out).catalog:
        found.setdefault(row.state, []).append(row.id)
    return found


def complete(out="out"):
    """Return the ids of stores that look complete, whatever the catalogue says."""
    found = []
    for store in sorted((Path(out) / IMAGES).glob("*.ome.zarr")):
        if (store / METADATA).exists():
            attributes = json.loads((store / METADATA).read_text())["attributes"]
            if "ome" in attributes or attributes["chunkmeans"]["complete"]:
                found.append(store.name.removesuffix(".ome.zarr"))
    return found
