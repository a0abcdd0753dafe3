"""Runs in processes that are killed: at a call of a number, at an event, or some time after it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest
from chunkmeans import make_config, run
from chunkmeans.results.store.local_files import PARTIAL
from chunkmeans.results.store.store import SAMPLES, Store
from chunkmeans.results.write.labels import LabelWriter
from chunkmeans.sources.formats.npy import NpyImage

from tests.support.ways import Way

MOMENTS = (
    (NpyImage, "describe"),
    (NpyImage, "decode"),
    (LabelWriter, "write"),
    (LabelWriter, "write_upper"),
    (LabelWriter, "mark"),
    (Store, "write_lines"),
    (Store, "create_text"),
    (Store, "delete"),
    (Store, "sync"),
)
"""Between what lies right before and right after a call of each of these, a run changes."""


def each_moment(patch, tell):
    """Call `tell` right before and right after every call of `MOMENTS`."""
    for owner, name in MOMENTS:
        patch.setattr(owner, name, _told(getattr(owner, name), f"{owner.__name__}.{name}", tell))


def _told(plain, name, tell):
    def told(self, *args, **kwargs):
        tell(f"before {name}")
        result = plain(self, *args, **kwargs)
        tell(f"after {name}")
        return result

    return told


def moments_of(config, way, **options):
    """Return the names of all moments of a run, in order; the run is done."""
    seen = []
    with way.taken(), pytest.MonkeyPatch.context() as patch:
        each_moment(patch, seen.append)
        run(config, **options)
    return seen


def killed_at(config, way, number, **options):
    """Run in a process that ends without a word at the moment of that number, from 0."""
    seen = []

    def tell(name):
        seen.append(name)
        if len(seen) > number:
            os.kill(os.getpid(), signal.SIGKILL)

    def work():
        with way.taken(), pytest.MonkeyPatch.context() as patch:
            each_moment(patch, tell)
            run(config, **options)

    return apart(work)


def killed_by(config, way, wanted, **options):
    """Run in a process that ends without a word at the first event for which `wanted` is true."""

    def watch(event):
        if wanted(event):
            os.kill(os.getpid(), signal.SIGKILL)

    def work():
        with way.taken():
            run(config, watch=watch, **options)

    return apart(work)


def killed_driver(sections, way, number, delay):
    """Run in a fresh process that ends without a word some seconds after the event of a number.

    For runs that start processes of their own, which a copy of this one could not. Returns whether
    it was killed, and those processes, which end when they notice.
    """
    given = json.dumps([sections, asdict(way), number, delay])
    program = "import sys; from tests.support.kills import drive; drive(sys.argv[1])"
    process = subprocess.Popen([sys.executable, "-c", program, given])
    below = []
    while process.poll() is None:
        below = psutil.Process(process.pid).children(recursive=True) or below
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
    assert process.returncode in (0, -signal.SIGKILL), "the run failed"
    return process.returncode != 0, below


def drive(given):
    """Do what `killed_driver` asks, in its process."""
    sections, way, number, delay = json.loads(given)
    seen = []

    def end():
        time.sleep(delay)
        os.kill(os.getpid(), signal.SIGKILL)

    def watch(event):
        seen.append(event)
        if len(seen) == number + 1:
            threading.Thread(target=end).start()

    with Way(**way).taken():
        run(make_config(**sections), watch=watch)


def kill_a_worker(chance):
    """Kill one of the worker processes that this process has; return its number, None without."""
    workers = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has just ended, or nobody has waited for it yet
            if "spawn_main" in " ".join(process.cmdline()):
                workers.append(process)
    if not workers:
        return None
    victim = chance.choice(workers)
    victim.kill()
    return victim.pid


def apart(work):
    """Do `work` in a copy of this process; return whether it was killed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks: nothing is shared here
        child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the run failed"
    return os.WIFSIGNALED(status)


def written(out):
    """Return the bytes of everything a run leaves but what tells of times and processes.

    Nor are saved tables of pixels results: they are in as many parts as they were read; nor what
    a killed writer left under a temporary name, which no reader takes for a result.
    """
    root = Path(out)
    files = (p for p in root.rglob("*") if p.is_file() and not p.name.endswith(PARTIAL))
    found = {str(p.relative_to(root)): p for p in files}
    return {
        name: path.read_bytes()
        for name, path in found.items()
        if name not in ("run.json", "catalog.csv") and not name.startswith(("logs/", f"{SAMPLES}/"))
    }
