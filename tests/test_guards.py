"""A source that hangs, crashes or eats memory costs its images, and nothing else of a run."""

import re
import sys
from collections import Counter
from textwrap import dedent

import numpy as np
import pytest
from chunkmeans import make_config, open_run, run
from chunkmeans.engines.dask.settings import SETTINGS
from chunkmeans.sources import registry

from tests.test_agreement import stored
from tests.test_exactness import picture

SOURCE = """
    import ctypes, os, threading
    from chunkmeans.sources.formats.npy import NpyImage

    def hang():
        threading.Event().wait()

    def hang_with_the_lock():
        ctypes.PyDLL(None).sleep(10_000)

    def crash():
        ctypes.string_at(0)

    def eat():
        taken = []
        while True:
            taken.append(b"x" * 2**26)

    class Poison(NpyImage):
        '''Does when its header, or its pixels, are read what its file's name says.'''

        def act(self, where):
            what, _, when = os.path.basename(self.path).partition(".")[0].partition("-")
            if when == where:
                globals()[what]()

        def describe(self):
            self.act("header")
            return super().describe()

        def decode(self, box, channels):
            self.act("pixels")
            return super().decode(box, channels)
"""
SAID = {
    "hang-header": r"hang-header\.poison.* 3 s, which images\.limits\.seconds allows",
    "hang-pixels": r"hang-pixels\.poison.* 3 s, which images\.limits\.seconds allows",
    "crash-header": r"crash-header\.poison.* an isolated process, it was killed by SIGSEGV",
    "crash-pixels": r"crash-pixels\.poison.* an isolated process, it was killed by SIGSEGV",
    "eat-pixels": r"eat-pixels\.poison.* an isolated process, it took \d+ MiB where \d+ MiB are",
    "hang_with_the_lock-pixels": r"lock-pixels\.poison.* did not come back in time \(images\.lim",
}
FEW = ("hang-header", "crash-pixels")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with good images in ``good``, and an installed source of ``.poison``."""
    site = tmp_path / "site"
    (site / "poison-1.dist-info").mkdir(parents=True)
    (site / "poison_source.py").write_text(dedent(SOURCE))
    (site / "poison-1.dist-info" / "METADATA").write_text("Name: poison\nVersion: 1\n")
    (site / "poison-1.dist-info" / "entry_points.txt").write_text(
        f"[{registry.GROUP}]\npoison = poison_source:Poison\n"
    )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.chdir(tmp_path)
    registry._installed.cache_clear()
    (tmp_path / "good").mkdir()
    (tmp_path / "bad").mkdir()
    for i in range(12):
        np.save(f"good/{i:02}.npy", picture("uint8", 1, (20 + i, 24), seed=i))
    yield tmp_path
    registry._installed.cache_clear()
    sys.modules.pop("poison_source", None)


def segmented(out, scope, *paths, **cluster):
    return run(
        make_config(
            images={"path": list(paths), "axes": "yxc", "limits": {"seconds": 3}},
            kmeans={"k": 3, "scope": scope, "init": {"means": [[10.0], [90.0], [200.0]]}},
            results={"path": out, "chunk": 4, "shard": 8},
            memory=3 * 2**30,
            cluster=cluster,
        )
    )


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("scope", "kinds"),
    [
        ("image", FEW),
        pytest.param("image", tuple(SAID), marks=pytest.mark.slow),
        pytest.param("collection", tuple(SAID), marks=pytest.mark.slow),
    ],
)
def test_a_source_that_kills_costs_its_images_and_nothing_else(folder, monkeypatch, scope, kinds):
    # one death is enough to be suspected, as each takes a second
    monkeypatch.setitem(SETTINGS, "distributed.scheduler.allowed-failures", 0)
    workers = {"n_workers": 2, "threads_per_worker": 1}
    for i, kind in enumerate(kinds):
        with open(f"bad/{kind}.poison", "wb") as file:
            np.save(file, picture("uint8", 1, (20, 24), seed=99 + i))
    record = segmented("out", scope, "bad", "good", kind="local", options=workers)
    segmented("clean", scope, "good", kind="serial")

    assert (record.state, record.counts) == ("finished", {"done": 12, "failed": len(kinds)})
    listed = Counter(row.id for row in open_run("out").catalog)
    assert set(listed.values()) == {1}
    failed = {row.id: row for row in open_run("out").catalog if row.state == "failed"}
    for kind in kinds:
        (row,) = [row for name, row in failed.items() if kind in row.source]
        assert re.search(SAID[kind], row.reason), row.reason
    found, clean = stored("out"), stored("clean")
    assert {name: found[name] for name in clean} == clean
