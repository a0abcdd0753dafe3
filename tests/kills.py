"""Runs in processes that are killed: at a call of a number, or at an event."""

import os
import signal
import warnings
from pathlib import Path

import pytest

from pipeline import run
from pipeline.results.labels import LabelWriter
from pipeline.results.store import SAMPLES, Store
from pipeline.sources.npy import NpyImage

MOMENTS = (
    (NpyImage, "describe"),
    (NpyImage, "decode"),
    (LabelWriter, "write"),
    (LabelWriter, "write_upper"),
    (LabelWriter, "finish"),
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

    Nor are saved tables of pixels results: they are in as many parts as they were read.
    """
    root = Path(out)
    found = {str(p.relative_to(root)): p for p in root.rglob("*") if p.is_file()}
    return {
        name: path.read_bytes()
        for name, path in found.items()
        if name not in ("run.json", "catalog.csv") and not name.startswith(("logs/", f"{SAMPLES}/"))
    }
