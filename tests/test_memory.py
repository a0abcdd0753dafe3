"""A run keeps to its bound of memory, whatever the image's size, or is refused before its start.

Runs are processes of their own, looked at from outside: what counts is the memory of the process
and all that it starts, shared pages once. `pytest -m slow -n0 -s tests/test_memory.py` prints it.
"""

import json
import re
import sys
from functools import cache
from math import sqrt
from pathlib import Path
from shutil import rmtree

import numpy as np
import pytest
from chunkmeans import make_config, plan, run
from chunkmeans.errors import ConfigError

from tests.benchmarks.measure import run as measured
from tests.support import huge

ROOT = Path(__file__).parents[1]
MIB = 2**20
SIZES = ((16, 2), (64, 8), (256, 64), (1024, 8))
"""Megapixels and k."""

RUN = """
import json, sys
from chunkmeans import make_config, run
run(make_config(**json.loads(sys.argv[1])))
"""

CONTENT = {
    "grey8": lambda: huge.real_tiles(8, "u1", 1),
    "rgb8": lambda: huge.real_tiles(24, "u1", 3),
    "multi16": lambda: huge.real_tiles(8, "u2", 4),
    "all colours": huge.every_colour,
}

# Tight bounds: hardly any pixels can be held, so that the peak is that of the work alone.
BOUNDS = [
    ("grey8", "threads", 320),
    ("grey8", "local", 768),
    ("rgb8", "threads", 960),
    ("rgb8", "local", 1984),
    ("multi16", "threads", 896),
    ("multi16", "local", 1792),
]


@cache
def tiles(content):
    return CONTENT[content]()


def settings(path, folder, kind, mib, k, **kmeans):
    """Return the sections of a config."""
    return {
        "images": {"path": str(path)},
        "kmeans": {"k": k, "max_iterations": 2} | kmeans,
        "results": {"path": str(folder / "out"), "pyramid": "none"},
        "cluster": {"kind": kind},
        "memory": mib * MIB,
    }


def segment(path, folder, kind, mib, k=4, **kmeans):
    """Run in a process of its own; return MiB planned, told by the run, and seen from outside."""
    sections = settings(path, folder, kind, mib, k, **kmeans)
    command = [sys.executable, "-c", RUN, json.dumps(sections)]
    seen = measured(command, ROOT, folder / "log")
    record = json.loads((folder / "out" / "run.json").read_text())
    assert record["counts"].keys() <= {"done", "warned"}
    rmtree(folder / "out")
    memory = record["memory"]
    figures = [memory["planned"] / MIB, memory["peak"] / MIB, seen.peak / MIB]
    print(
        f"{path.name:>16} {kind:>8} k={k:<3} bound {mib:5} planned {figures[0]:5.0f} "
        f"peak {figures[1]:5.0f} seen {figures[2]:5.0f} MiB, {seen.wall:4.0f} s",
        flush=True,
    )
    return figures


def refusal(path, folder, mib, kind="threads"):
    """Return the problem that plan tells and run raises before it writes, and the MiB it needs."""
    config = make_config(**settings(path, folder, kind, mib, 4))
    (problem,) = plan(config).problems
    with pytest.raises(ConfigError) as caught:
        run(config)
    assert str(caught.value) == problem
    assert not (folder / "out").exists()
    needed, has = map(
        int, re.findall(r"needs (\d+) MiB .* has (\d+) MiB; raise `memory`", problem)[0]
    )
    assert has == mib < needed
    return problem, needed


def rows(width):
    """Return 64 rows of real pictures, (64, width, 3)."""
    each = huge.real_tiles(4, "u1", 3)
    return np.concatenate([tile[:64] for tile in each] * (width // 2048 + 1), axis=1)[:, :width]


@pytest.fixture(params=["strip", "png", "plain"])
def undivided(request, tmp_path):
    """Return a function that writes a square picture in one piece."""

    def write(edge):
        path = tmp_path / f"{request.param}.{'png' if request.param == 'png' else 'tif'}"
        if request.param == "png":
            return huge.write_png(path, rows(edge), edge)
        return huge.write_strip(path, rows(edge), edge, deflated=request.param == "strip")

    return write


def test_a_picture_in_one_piece_is_refused_with_both_numbers_or_has_a_plan(tmp_path, undivided):
    path = undivided(5120)
    problem, needed = refusal(path, tmp_path, 512, "serial")
    assert ("stored in one piece" in problem) is (path.name != "plain.tif")
    found = plan(make_config(**settings(path, tmp_path, "serial", needed, 4)))
    assert found.problems == ()
    assert found.need <= needed * MIB


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("content", "kind", "mib"), BOUNDS)
def test_a_peak_is_within_its_bound_and_flat_in_the_image(tmp_path, content, kind, mib):
    peaks = {}
    for megapixels, k in SIZES:
        edge = round(sqrt(megapixels * 1e6) / huge.EDGE) * huge.EDGE
        path = huge.write_tiled(tmp_path / f"{content}-{megapixels}.tif", tiles(content), edge)
        planned, peak, seen = segment(path, tmp_path, kind, mib, k)
        assert seen <= planned <= mib
        assert peak <= mib
        peaks[megapixels] = seen
        path.unlink()
    assert peaks[1024] <= 1.15 * max(peaks[64], peaks[256])


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("kind", "mib"), [("threads", 960), ("local", 1984)])
def test_an_image_of_all_colours_keeps_to_its_bound(tmp_path, kind, mib):
    path = huge.write_tiled(tmp_path / "colours.tif", tiles("all colours"), 8192)
    starts = {"init": "kmeans++", "restarts": 2, "max_iterations": 4}  # trees, and draws
    planned, peak, seen = segment(path, tmp_path, kind, mib, 8, **starts)
    assert max(seen, peak) <= mib
    assert seen <= planned


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_huge_picture_in_one_piece_runs_within_its_bound_or_is_refused(tmp_path, undivided):
    path = undivided(20_000)
    for mib in (1024, 4096, 6144):
        if plan(make_config(**settings(path, tmp_path, "threads", mib, 4))).problems:
            print(
                f"{path.name:>16} threads bound {mib} needs {refusal(path, tmp_path, mib)[1]} MiB"
            )
        else:
            _, peak, seen = segment(path, tmp_path, "threads", mib)
            assert max(peak, seen) <= mib
            break
    assert (mib > 1024) is (path.name != "plain.tif")  # whose rows can be read as they lie
