"""Runs of many tasks on worker processes, of which the driver or a worker is killed."""

import logging
import random
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import dask
import numpy as np
import psutil
import pytest
from chunkmeans import make_config, open_run, run
from chunkmeans.events import Advanced, ImageFinished
from chunkmeans.results.store.store import Store
from distributed import LocalCluster

from tests.support.kills import kill_a_worker, killed_driver, written
from tests.support.outputs import complete
from tests.support.ways import RAW, Way
from tests.test_agreement import rows
from tests.test_exactness import picture
from tests.test_resume import SCOPES, STEPS

MANY_TASKS = Way(small=0, chunk=64, bundle=1)
"""A task is a shard of 8 x 8 pixels."""
PATHS = {"table": MANY_TASKS, "pixels": Way(small=0, chunk=64, bundle=1, **RAW)}
SHAPES = {"a": (24, 16), "b": (16, 16), "c": (24, 17), "d": (9, 8)}
LARGER = {"a": (48, 40), "b": (24, 24), "c": (40, 33), "d": (9, 8)}
"""For the slow tests: a run is long enough for many moments."""


def tasks_in(name):
    """Return how many tasks an image is."""
    height, width, _ = np.load(f"in/{name}.npy").shape
    return -(-height // 8) * -(-width // 8)


def sections(scope, cluster, out="out"):
    """Return the sections of a config."""
    return {
        "images": {"path": "in", "axes": "yxc"},
        "kmeans": {
            "k": 3,
            "scope": scope,
            "init": {"means": [[10.0], [90.0], [200.0]]},
            "max_iterations": 8,
        },
        "results": {"path": out, "chunk": 4, "shard": 8},
        "cluster": cluster,
        "memory": 2 * 2**30,
    }


def processes(path):
    """Return the section ``cluster`` of two worker processes on this machine."""
    options = {"n_workers": 2, "threads_per_worker": 1}
    if path == "pixels":
        options["preload"] = ["chunkmeans.engines.worker.preload", "tests.support.few_vectors"]
    return {"kind": "local", "options": options}


@pytest.fixture(scope="module")
def scheduler():
    """The section ``cluster`` of workers that outlive their drivers: threads of this process."""
    # a worker that is this process would be paused, for ever, once the tests have grown it
    awake = dask.config.set({"distributed.worker.memory.pause": False})
    with TemporaryDirectory() as folder, awake:
        cluster = LocalCluster(
            n_workers=2, threads_per_worker=2, processes=False, host="127.0.0.1",
            protocol="tcp", dashboard_address="127.0.0.1:0", memory_limit=2**31,
            silence_logs=logging.CRITICAL, local_directory=folder,
        )  # fmt: skip
        with cluster:
            yield {"kind": "address", "options": {"address": cluster.scheduler_address}}


@pytest.fixture
def folder(tmp_path, monkeypatch, request):
    """The current folder, with images of many tasks in ``in``."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    shapes = LARGER if request.node.get_closest_marker("slow") else SHAPES
    for i, (name, shape) in enumerate(shapes.items()):
        np.save(f"in/{name}.npy", picture("uint8", 1, shape, seed=i))
    return tmp_path


def clean(scope, path="table"):
    """Run undisturbed, in this process; return the events."""
    seen = []
    with PATHS[path].taken():
        run(make_config(**sections(scope, "serial", "clean")), watch=seen.append)
    return seen


def tasks_of(events, phase):
    """Count the finished tasks of a phase, by image or ``collection``."""
    return Counter(e.subject for e in events if isinstance(e, Advanced) and e.phase == phase)


def goes_on(scope, path, cluster):
    """Run the same command, check that it does only what was missing, and compare."""
    done = set(complete())
    seen = []
    with PATHS[path].taken():
        record = run(make_config(**sections(scope, cluster)), watch=seen.append)

    left = set(SHAPES) - done
    assert record.state == "finished"
    assert tasks_of(seen, "label") == {name: tasks_in(name) for name in left}
    if scope == "image":
        # what was collected of an image before it was labelled is not read again
        read = tasks_of(seen, "read")
        assert read.keys() <= left
        assert all(tasks <= tasks_in(name) for name, tasks in read.items())
        assert {e.image for e in seen if isinstance(e, ImageFinished)} <= left
    same_as_clean()
    again = []
    run(make_config(**sections(scope, cluster)), watch=again.append)
    assert not any(isinstance(e, Advanced | ImageFinished) for e in again)


def same_as_clean():
    assert written("out") == written("clean")
    assert rows(open_run("out")) == rows(open_run("clean"))


# -- the driver -----------------------------------------------------------------------------------


def drivers_killed(scope, path, cluster, number, seed):
    """Kill that many runs, each at a random moment and in a fresh output; return how many died."""
    chance, kills = random.Random(seed), 0
    events = len(clean(scope, path))
    for _ in range(number):
        Store("out").delete("")
        moment, delay = chance.randrange(events), chance.random() * 0.03
        with PATHS[path].taken():  # workers may be this process
            given = sections(scope, cluster)
            killed, below = killed_driver(given, PATHS[path], moment, delay)
        goes_on(scope, path, cluster)
        assert not psutil.wait_procs(below, timeout=240)[1], "workers outlive their driver"
        kills += killed
    return kills


@pytest.mark.parametrize(("scope", "path"), [("image", "table"), ("collection", "pixels")])
def test_a_driver_killed_while_its_cluster_lives_goes_on_to_the_same_bytes(
    folder, scheduler, scope, path
):
    assert drivers_killed(scope, path, scheduler, 1, seed=3)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("scope", SCOPES)
def test_a_driver_killed_at_fifty_random_moments_while_its_cluster_lives(
    folder, scheduler, scope, path
):
    # a run that is killed in its last milliseconds may have ended
    assert drivers_killed(scope, path, scheduler, 50, seed=50) >= 45


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("scope", "path"), [("image", "table"), ("collection", "pixels")])
def test_a_driver_killed_with_its_worker_processes_goes_on_to_the_same_bytes(folder, scope, path):
    assert drivers_killed(scope, path, processes(path), 10, seed=10) >= 8


# -- workers --------------------------------------------------------------------------------------


def with_workers_killed(scope, path, now, chance):
    """Run while a worker is killed whenever `now` says so of an event; return how many were."""
    killed = []

    def watch(event):
        if now(event):
            killed.append(kill_a_worker(chance))

    with PATHS[path].taken():
        record = run(make_config(**sections(scope, processes(path))), watch=watch)
    assert record.state == "finished"
    same_as_clean()
    return sum(pid is not None for pid in killed)


@pytest.mark.parametrize(
    "scope",
    ["collection", pytest.param("image", marks=pytest.mark.full)],
)
def test_a_worker_that_is_killed_costs_time_and_nothing_else(folder, scope):
    clean(scope)
    seen = []

    def now(event):
        seen.append(isinstance(event, Advanced))
        return sum(seen) == 7 and seen[-1]

    assert with_workers_killed(scope, "table", now, random.Random(1)) == 1


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("scope", SCOPES)
def test_workers_killed_after_every_named_step_cost_time_and_nothing_else(folder, scope, path):
    """One after each step, the first time that it is taken, all in one run."""
    clean(scope, path)
    left = {name: when for name, when in STEPS.items() if name != "the end"}

    def now(event):
        found = [name for name, when in left.items() if when(event)]
        for name in found:
            del left[name]
        return bool(found)

    assert with_workers_killed(scope, path, now, random.Random(2)) >= 8
    # a step of single images, or of the collection, that the other scope does not take
    assert len(left) <= 2, left


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("scope", SCOPES)
def test_workers_killed_at_random_moments_cost_time_and_nothing_else(folder, scope, path):
    """Some in each run until they are twenty-five: fifty of a scope, on its two paths."""
    chance, killed = random.Random(7), 0
    events = clean(scope, path)
    while killed < 25:
        Store("out").delete("")
        at, seen = set(chance.sample(range(len(events)), 4)), []

        def now(event, at=at, seen=seen):
            seen.append(event)
            return len(seen) - 1 in at

        killed += with_workers_killed(scope, path, now, chance)
