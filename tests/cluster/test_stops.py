"""``chunkmeans run`` on a site that fails, or that the user does not want to wait for."""

import json
import signal
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from chunkmeans import make_config, open_run, run

from tests.cluster.processes import RAW_WORKERS, Site, drive, ended, heard
from tests.support.kills import written
from tests.test_exactness import picture

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]

SLOW = ("--preload", "tests.cluster.slow")
LONG = 240
"""Seconds that only a hang can take."""
RESUMES = "interrupted; what is finished is kept, the same command resumes"


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A scheduler; the current folder has an image in ``in`` and its clean result in ``clean``."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    np.save("in/large.npy", picture("float32", 2, (48, 40)))
    run(make_config(**sections({"kind": "serial"}, "clean")))
    with Site(tmp_path / "site") as site:
        yield site


def sections(cluster, out="out"):
    return {
        "images": {"path": "in", "axes": "yxc"},
        "kmeans": {
            "k": 2, "init": {"means": [[-100.0, -90.0], [500.0, 490.0]]}, "max_iterations": 4,
        },
        "results": {"path": out, "chunk": 4, "shard": 8},
        "memory": 2 * 2**30,
        "cluster": cluster,
    }  # fmt: skip


def started(cluster, **environment):
    Path("c.yaml").write_text(json.dumps(sections(cluster)))  # JSON is YAML
    return drive("c.yaml", **environment)


def goes_on(cluster, **environment):
    """Give the same command again, and compare."""
    code, errors = ended(started(cluster, **environment), LONG)
    assert code == 0, errors
    assert written("out") == written("clean")


def test_no_workers_end_the_command_with_3_within_the_time_to_wait(site):
    code, errors = ended(started(site.section(wait=3)), LONG)
    assert code == 3
    assert "has had no worker for 3 seconds; start workers" in errors
    assert "the same command resumes" in errors
    assert not Path("out").exists()


def test_a_scheduler_that_stands_still_ends_the_command_with_3(site):
    site.start_workers(1, *RAW_WORKERS, *SLOW, CHUNKMEANS_SLOW="0.1")
    process = started(site.section(wait=5))
    heard(process, "Advanced iterate", 3)
    psutil.Process(site.scheduler.pid).suspend()
    code, errors = ended(process, LONG)
    assert code == 3
    assert "has not answered for 5 seconds" in errors
    assert "Traceback" not in errors
    assert open_run("out").record.state == "failed"
    psutil.Process(site.scheduler.pid).resume()
    goes_on(site.section())


def test_ctrl_c_stops_a_command_that_leaves_no_task_on_the_scheduler(site):
    site.start_workers(2, *RAW_WORKERS, *SLOW, CHUNKMEANS_SLOW="0.3")
    process = started(site.section())
    heard(process, "Advanced iterate", 3)
    assert [key for key in site.tasks() if key.startswith("iterate")]
    process.send_signal(signal.SIGINT)
    code, errors = ended(process, LONG)
    assert code == 130
    assert RESUMES in errors
    assert "Traceback" not in errors
    end = time.monotonic() + LONG
    while left := site.tasks():
        assert time.monotonic() < end, left
        time.sleep(0.1)
    assert open_run("out").record.state == "interrupted"
    goes_on(site.section())


def test_ctrl_c_stops_a_command_whose_scheduler_stands_still(site):
    site.start_workers(1, *RAW_WORKERS, *SLOW, CHUNKMEANS_SLOW="0.3")
    process = started(site.section())
    heard(process, "Advanced iterate", 3)
    psutil.Process(site.scheduler.pid).suspend()
    process.send_signal(signal.SIGINT)
    code, errors = ended(process, LONG)
    assert code == 130
    assert RESUMES in errors
    assert "Traceback" not in errors
    psutil.Process(site.scheduler.pid).resume()


def test_a_second_ctrl_c_ends_a_local_run_and_its_workers_at_once(site):
    preload = [
        "chunkmeans.engines.worker.preload",
        "tests.support.few_vectors",
        "tests.cluster.slow",
    ]
    options = {"n_workers": 2, "threads_per_worker": 1, "preload": preload}
    process = started({"kind": "local", "options": options}, CHUNKMEANS_SLOW="0.3")
    heard(process, "Advanced iterate", 3)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    for line in process.stderr:  # two at once may reach it as one
        if "Ctrl-C again ends at once" in line:
            break
    process.send_signal(signal.SIGINT)
    code, errors = ended(process, LONG)
    assert code == 130
    assert "ended at once; the same command resumes" in errors
    assert "Traceback" not in errors
    assert workers
    assert not psutil.wait_procs(workers, timeout=LONG)[1]
    goes_on({"kind": "local", "options": options}, CHUNKMEANS_SLOW="0")
