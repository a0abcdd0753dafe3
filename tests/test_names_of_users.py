"""A user's own files in the working folder, named like ours, do no harm to driver or workers."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from time import monotonic, sleep

import numpy as np
import pytest

from tests.support.places import PYTHONPATH

NAMES = ("pipeline", "sources", "engines", "kmeans", "results", "steps", "config", "tasks")
"""Our source root, our sub-packages, and a module; none of them is a name of its own in Python."""
CONFIG = """
images: {path: a.npy}
kmeans: {k: 2}
results: {path: out}
cluster: CLUSTER
"""


@pytest.fixture
def folder(tmp_path):
    """A working folder with an image, and a file of the user for every name."""
    np.save(tmp_path / "a.npy", np.arange(64, dtype=np.uint8).reshape(8, 8))
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('my own {name}.py was imported')\n")
    return tmp_path


def start(folder, *words, **rest):
    """Start Python in that folder, which `-c` and `-m` put first on the path."""
    return subprocess.Popen(
        [sys.executable, *words], cwd=folder, text=True, stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": PYTHONPATH}, **rest,
    )  # fmt: skip


def segment(folder, cluster):
    """Run the command there; it must end well."""
    (folder / "c.yaml").write_text(CONFIG.replace("CLUSTER", json.dumps(cluster)))
    words = ("-c", "from chunkmeans.cli import main; main()", "run", "c.yaml")
    with start(folder, *words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    assert "my own" not in said


def test_a_driver_and_local_workers_take_none_of_them(folder):
    segment(folder, {"kind": "local", "options": {"n_workers": 1, "threads_per_worker": 1}})


def test_workers_that_are_started_there_take_none_of_them(folder):
    here = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")
    file = folder / "scheduler.json"
    with ExitStack() as stack:

        def background(*words):
            process = start(
                folder, "-m", *words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)

        place = ("--scheduler-file", str(file))
        background("distributed.cli.dask_scheduler", *here, "--port", "0", *place)
        until = monotonic() + 120
        while not file.exists():
            assert monotonic() < until, "no scheduler starts"
            sleep(0.1)
        background("distributed.cli.dask_worker", *here, *place, "--nthreads", "1")
        cluster = {"kind": "scheduler_file", "options": {"scheduler_file": file.name}}
        segment(folder, {**cluster, "wait": {"workers": 1, "timeout": 120}})
