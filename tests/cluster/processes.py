"""A Dask cluster of processes, as a site starts it: ``dask scheduler`` and ``dask worker``."""

import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from time import monotonic, sleep

import psutil
import pytest
from distributed import Client
from distributed.deploy.spec import SpecCluster

from tests.support.places import PYTHONPATH
from tests.support.ways import RAW, Way

ROOT = Path(__file__).parents[2]
PIXELS = Way(small=0, chunk=64, bundle=1, **RAW)
"""The driver's part of many small tasks, and of iterations that go over the pixels."""
RAW_WORKERS = ("--preload", "tests.support.few_vectors")
"""The workers' part of the latter."""
LOOPBACK = "127.0.0.1"
START = 240.0
"""Seconds that something may take to start on a busy machine."""


class Site:
    """A scheduler at an address that stays, and workers, each below a nanny of its own.

    Parameters
    ----------
    folder
        For logs and what workers spill.
    host, within
        Where the scheduler listens, and the command that what it runs in begins with.
    environment
        Added to that of every process.
    """

    def __init__(self, folder, *, host=LOOPBACK, within=(), **environment):
        self.folder, self.within = Path(folder), tuple(within)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.environment = {**os.environ, "PYTHONPATH": PYTHONPATH, **environment}
        self.host, self.port = host, free_port()
        self.address = f"tcp://{host}:{self.port}"
        self.scheduler = None
        self.workers = []
        self._started = 0

    def __enter__(self):
        self.start_scheduler()
        return self

    def __exit__(self, *_):
        self.kill_workers()
        self.kill_scheduler()

    def section(self, wait=60.0):
        """Return the section ``cluster`` of a config."""
        return {"kind": "address", "options": {"address": self.address}, "wait": {"timeout": wait}}

    def start_scheduler(self):
        """Start one where the one before was."""
        listening = ("--host", self.host, "--port", str(self.port), "--no-dashboard")
        self.scheduler = self._start("scheduler", self.within, listening)

    def kill_scheduler(self):
        self.scheduler.send_signal(9)
        self.scheduler.wait()

    def start_workers(self, number, *arguments, host=LOOPBACK, within=(), **environment):
        """Start workers of one thread; `arguments` are of ``dask worker``.

        Waits for them, unless they are on a host that is not reached from here.
        """
        usual = ("--nthreads", "1", "--host", host, "--no-dashboard", "--memory-limit", "2GiB")
        folder = ("--local-directory", str(self.folder))
        before = 0 if within else len(self.pids())
        for _ in range(number):
            given = (self.address, *usual, *folder, *arguments)
            self.workers.append(self._start("worker", within, given, **environment))
        if not within:
            self.await_workers(before + number)

    def kill_workers(self):
        """Kill all workers and what watches them."""
        for nanny in self.workers:
            kill_tree(nanny)
        self.workers.clear()

    def pids(self):
        """Return the processes of connected workers by their address."""
        return pids_at(self.address)

    def await_workers(self, number):
        end = monotonic() + START
        while len(self.pids()) < number:
            assert monotonic() < end, f"no {number} workers: {self.logs()[-3000:]}"
            sleep(0.1)

    def tasks(self):
        """Return the keys of the tasks that the scheduler knows."""
        with asking(self.address) as client:
            return client.run_on_scheduler(lambda dask_scheduler: sorted(dask_scheduler.tasks))

    def logs(self, kind=""):
        """Return what the processes of a kind have logged."""
        return "".join(path.read_text() for path in sorted(self.folder.glob(f"{kind}*.log")))

    def _start(self, kind, within, arguments, **environment):
        self._started += 1
        with (self.folder / f"{kind}-{self._started}.log").open("w") as log:
            return subprocess.Popen(
                [*within, sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments],
                cwd=ROOT, env=self.environment | environment, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip


def asking(address):
    """Return a client that asks a scheduler, and does not mind how long that takes to start."""
    return Client(address, set_as_default=False, timeout=START)


def pids_at(address):
    """Return the processes of the workers of a scheduler by their address; those that answer."""
    with asking(address) as client:
        found = client.run(os.getpid, on_error="ignore")
        return {worker: pid for worker, pid in found.items() if isinstance(pid, int)}


def started_here():
    """Return the address of the scheduler that a run of kind local started in this process."""
    (address,) = [c.scheduler_address for c in SpecCluster._instances if c.status.name == "running"]
    return address


def free_port():
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


def kill_tree(process):
    """Kill a process and everything below it."""
    with suppress(psutil.NoSuchProcess):
        top = psutil.Process(process.pid)
        for one in [top, *top.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                one.kill()
    process.wait()


def drive(config, *arguments, way=PIXELS, within=(), **environment):
    """Start ``chunkmeans run`` in a process that says what happens: see `tests.cluster.driver`."""
    program = "import sys; from tests.cluster.driver import main; main(sys.argv[1:])"
    given = json.dumps(asdict(way))
    return subprocess.Popen(
        [*within, sys.executable, "-c", program, given, "run", str(config), *arguments],
        env={**os.environ, "PYTHONPATH": PYTHONPATH, **environment},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def heard(process, words, number=1):
    """Read what a driven run says until these words came so often; fails if it ends before."""
    for line in process.stdout:
        number -= line.strip() == words
        if not number:
            return
    pytest.fail(f"the run ended without {words!r}: {process.stderr.read()[-3000:]}")


def ended(process, seconds):
    """Wait for a driven run; return its exit code and what it wrote to stderr."""
    try:
        _, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        kill_tree(process)
        pytest.fail(f"the run has not ended after {seconds:g} s: {process.stderr.read()[-3000:]}")
    return process.returncode, errors
