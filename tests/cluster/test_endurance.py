"""Workers and schedulers are lost: a run ends with the same bits, or in words, and goes on."""

import logging
import random
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import psutil
import pytest
from chunkmeans import make_config, open_run, run
from chunkmeans.errors import ClusterError
from chunkmeans.events import Advanced, PhaseStarted

from tests.cluster.processes import PIXELS, RAW_WORKERS, Site, pids_at, started_here
from tests.support.kills import written
from tests.test_agreement import rows
from tests.test_exactness import picture

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]

MEANS = [[-100.0, -90.0], [200.0, 210.0], [500.0, 490.0]]
SHAPES = {
    "image": {"large": (48, 40)},
    "collection": {"a": (40, 32), "b": (24, 24), "c": (9, 8)},
}
SLOW = ("--preload", "tests.cluster.slow")
GOES_ON = "what is written stays, the same command resumes"


def config(scope, cluster, out="out"):
    return make_config(
        images={"path": "in", "axes": "yxc"},
        kmeans={"k": 3, "scope": scope, "init": {"means": MEANS}, "max_iterations": 4},
        results={"path": out, "chunk": 4, "shard": 8},
        memory=2 * 2**30,
        cluster=cluster,
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, without what Dask says of lost workers."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHUNKMEANS_SLOW", "0.03")
    return tmp_path


@pytest.fixture
def site(folder):
    with Site(folder / "site") as site:
        yield site


@pytest.fixture(params=SHAPES)
def scope(request, folder):
    """What is segmented: one large image, or a collection; a clean run of it lies in ``clean``."""
    save(request.param)
    return request.param


@pytest.fixture
def image(folder):
    """One large image, as `scope`."""
    save("image")
    return "image"


def save(scope):
    Path("in").mkdir()
    for i, (name, shape) in enumerate(SHAPES[scope].items()):
        np.save(f"in/{name}.npy", picture("float32", 2, shape, seed=i))
    ran(scope, {"kind": "serial"}, out="clean")


def ran(scope, cluster, watch=lambda event: None, out="out"):
    with PIXELS.taken():
        return run(config(scope, cluster, out), watch=watch)


def same_as_clean():
    assert written("out") == written("clean")
    assert rows(open_run("out")) == rows(open_run("clean"))


class At:
    """A watcher that acts in the middle of a phase, the first time that this phase comes."""

    def __init__(self, phase, act):
        self.phase, self.act, self.parts = phase, act, 0

    def __call__(self, event):
        if isinstance(event, Advanced) and event.phase == self.phase:
            self.parts += 1
            if self.parts == 3:
                self.act()


class Losses:
    """A watcher that kills a worker in the middle of every phase that begins with two of them."""

    def __init__(self, address):
        self.address, self.chance = address, random.Random(1)
        self.begun, self.killed = Counter(), Counter()
        self.parts, self.workers = 0, []

    def __call__(self, event):
        if isinstance(event, PhaseStarted) and event.phase != "images":
            self.begun[event.phase] += event.units > 2
            self.parts, self.workers = 0, self.two()
        if isinstance(event, Advanced):
            self.parts += 1
            if self.parts == 2 and self.workers:
                psutil.Process(self.chance.choice(self.workers)).kill()
                self.workers = []
                self.killed[event.phase] += 1

    def two(self):
        """Return two workers, when there are."""
        end = time.monotonic() + 120
        while len(found := sorted(pids_at(self.address()).values())) < 2:
            assert time.monotonic() < end, "a worker that was killed does not come back"
            time.sleep(0.1)
        return found


# -- workers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["local", "address"])
def test_a_worker_lost_in_every_phase_and_every_iteration_costs_time_and_nothing_else(
    scope, kind, site
):
    if kind == "address":
        site.start_workers(2, *RAW_WORKERS, *SLOW)
        cluster, losses = site.section(), Losses(lambda: site.address)
    else:
        preload = [
            "chunkmeans.engines.worker.preload",
            "tests.support.few_vectors",
            "tests.cluster.slow",
        ]
        options = {"n_workers": 2, "threads_per_worker": 1, "preload": preload}
        cluster, losses = {"kind": "local", "options": options}, Losses(started_here)
    ran(scope, cluster, losses)
    assert losses.begun["iterate"] >= 4
    assert losses.killed.keys() >= {"read", "iterate", "label"}
    assert losses.killed["iterate"] == losses.begun["iterate"]
    same_as_clean()


def test_workers_that_leave_at_their_walltime_cost_time_and_nothing_else(scope, site, monkeypatch):
    # on a busy machine they may take longer to come back than they stay
    monkeypatch.setattr("chunkmeans.engines.dask.engine.MERGE_BLOCK_SECONDS", 0.5)
    lifetime = ("--lifetime", "12s", "--lifetime-stagger", "4s", "--lifetime-restart")
    site.start_workers(2, *RAW_WORKERS, *SLOW, *lifetime, CHUNKMEANS_SLOW="0.3")
    ran(scope, site.section())
    assert site.logs("worker").count("worker-lifetime-reached") >= 2
    same_as_clean()


def test_a_run_waits_for_workers_while_all_are_lost(scope, site):
    site.start_workers(2, *RAW_WORKERS, *SLOW)
    begun = threading.Event()

    def lose_all():
        site.kill_workers()
        threading.Timer(5, again).start()

    def again():
        begun.set()
        site.start_workers(2, *RAW_WORKERS, *SLOW)

    ran(scope, site.section(), At("iterate", lose_all))
    assert begun.is_set()
    same_as_clean()


def test_a_slow_worker_costs_time_and_nothing_else(scope, site):
    site.start_workers(1, *RAW_WORKERS)
    site.start_workers(1, *RAW_WORKERS, *SLOW, CHUNKMEANS_SLOW="0.7")
    ran(scope, site.section())
    same_as_clean()


def test_no_workers_left_is_an_error_that_says_how_to_go_on(image, site):
    site.start_workers(2, *RAW_WORKERS, *SLOW)
    words = rf"has had no worker for 3 seconds; start workers, .*; {GOES_ON}"
    with pytest.raises(ClusterError, match=words) as caught:
        ran(image, site.section(wait=3), At("iterate", site.kill_workers))
    assert caught.value.exit_code == 3
    site.start_workers(1, *RAW_WORKERS)
    ran(image, site.section())
    same_as_clean()


# -- the scheduler --------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["read", "iterate", "label"])
@pytest.mark.parametrize("back", ["at once", "later"])
def test_a_scheduler_that_is_lost_ends_the_run_which_goes_on(scope, site, phase, back):
    site.start_workers(2, *RAW_WORKERS, *SLOW)

    def lose():
        site.kill_scheduler()
        if back == "at once":
            site.start_scheduler()

    with pytest.raises(ClusterError, match=rf"lost the scheduler at tcp://.*; {GOES_ON}") as caught:
        ran(scope, site.section(), At(phase, lose))
    assert caught.value.exit_code == 3
    assert open_run("out").record.state == "failed"
    if back == "later":
        site.start_scheduler()
    site.start_workers(2, *RAW_WORKERS)
    ran(scope, site.section())
    same_as_clean()


def test_a_scheduler_that_stands_still_ends_the_run_which_goes_on(image, site):
    site.start_workers(2, *RAW_WORKERS, *SLOW)

    def stand_still():
        psutil.Process(site.scheduler.pid).suspend()

    words = rf"the scheduler at tcp://.* has not answered for 5 seconds; .*; {GOES_ON}"
    with pytest.raises(ClusterError, match=words) as caught:
        ran(image, site.section(wait=5), At("iterate", stand_still))
    assert caught.value.exit_code == 3
    psutil.Process(site.scheduler.pid).resume()
    ran(image, site.section())
    same_as_clean()


def test_a_scheduler_that_stands_still_at_the_start_is_an_error(image, site):
    site.start_workers(1, *RAW_WORKERS)
    psutil.Process(site.scheduler.pid).suspend()
    section = site.section(wait=5)
    section["options"]["timeout"] = 5
    with pytest.raises(ClusterError, match=r"no Dask scheduler answers at tcp://"):
        ran(image, section)
