"""Scheduler, workers and driver on hosts of their own, of which one is cut off in mid-run."""

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from chunkmeans import make_config, run

from tests.cluster.hosts import Network, NoNamespaces
from tests.cluster.processes import RAW_WORKERS, Site, drive, ended, heard
from tests.support.kills import written
from tests.test_exactness import picture

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]

SHORT, LONG = 4.0, 30.0
"""Seconds that a cable is out: shorter than a connection may be silent, and longer."""
SILENT = {
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "11s",  # Dask takes no less
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s",
}
"""How long a connection may be silent."""


class Hosts:
    """A network of four hosts, a site on three of them, and a run from the fourth."""

    def __init__(self, network, folder):
        self.network = network
        scheduler, *workers, self.driver = map(network.add, ("scheduler", "one", "two", "driver"))
        self.workers, self.mending = workers, None
        self.site = Site(folder, host=scheduler.address, within=scheduler.within, **SILENT)

    def start_workers(self):
        slow = ("--preload", "tests.cluster.slow")
        for host in self.workers:
            self.site.start_workers(
                1, *RAW_WORKERS, *slow, host=host.address, within=host.within,
                CHUNKMEANS_SLOW="0.2",
            )  # fmt: skip

    def started(self):
        """Start the run."""
        Path("c.yaml").write_text(json.dumps(sections(self.site.section(wait=60), "out")))
        return drive("c.yaml", within=self.driver.within, **SILENT)

    def cut(self, host, seconds):
        """Cut a host off for that long."""
        self.network.cut(host)
        self.mending = threading.Timer(seconds, self.network.mend, [host])
        self.mending.start()


def sections(cluster, out):
    return {
        "images": {"path": "in", "axes": "yxc"},
        "kmeans": {
            "k": 2, "init": {"means": [[-100.0, -90.0], [500.0, 490.0]]}, "max_iterations": 4,
        },
        "results": {"path": out, "chunk": 4, "shard": 8},
        "memory": 2 * 2**30,
        "cluster": cluster,
    }  # fmt: skip


@pytest.fixture
def hosts(tmp_path, monkeypatch):
    """The hosts; the current folder has an image in ``in`` and its clean result in ``clean``."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    np.save("in/large.npy", picture("float32", 2, (48, 40)))
    run(make_config(**sections({"kind": "serial"}, "clean")))
    try:
        with Network() as network:
            hosts = Hosts(network, tmp_path / "site")
            with hosts.site:
                hosts.start_workers()
                yield hosts
                if hosts.mending is not None:
                    hosts.mending.cancel()
                    hosts.mending.join()
    except NoNamespaces as error:
        pytest.skip(str(error))


def finished(process, seconds=240):
    code, errors = ended(process, seconds)
    assert code == 0, errors
    assert written("out") == written("clean")


@pytest.mark.parametrize("seconds", [SHORT, LONG], ids=["shortly", "for long"])
def test_a_worker_that_is_cut_off_costs_time_and_nothing_else(hosts, seconds):
    process = hosts.started()
    heard(process, "Advanced iterate", 5)
    hosts.cut(hosts.workers[0], seconds)
    finished(process)


def test_a_driver_that_is_cut_off_shortly_goes_on(hosts):
    process = hosts.started()
    heard(process, "Advanced iterate", 5)
    hosts.cut(hosts.driver, SHORT)
    finished(process)


def test_a_driver_that_is_cut_off_for_long_ends_with_3_and_the_same_command_goes_on(hosts):
    process = hosts.started()
    heard(process, "Advanced iterate", 5)
    begin = time.monotonic()
    hosts.cut(hosts.driver, LONG)
    code, errors = ended(process, 400)
    assert code == 3, errors
    assert "the same command resumes" in errors
    assert "Traceback" not in errors
    time.sleep(max(0.0, begin + LONG + 2 - time.monotonic()))
    finished(hosts.started())


def test_a_scheduler_that_is_cut_off_for_long_ends_the_run_with_3(hosts):
    process = hosts.started()
    heard(process, "Advanced iterate", 5)
    hosts.network.cut(hosts.network.hosts[0])
    code, errors = ended(process, 400)
    assert code == 3, errors
    assert "the same command resumes" in errors
