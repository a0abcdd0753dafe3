"""A chunk that kills its workers is named, with the likely cause, and the others are done."""

import logging
import re
from collections import Counter
from textwrap import dedent

import numpy as np
import pytest
from chunkmeans import make_config, open_run, run
from chunkmeans.errors import ClusterError
from chunkmeans.sources import registry

from tests.cluster.processes import Site
from tests.support.ways import Way
from tests.test_agreement import stored
from tests.test_exactness import picture

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]

BUNDLES = Way(small=0, chunk=64, bundle=300)
"""Tasks of a few shards of 8 x 8 pixels."""
SOURCE = """
    import ctypes, os
    from chunkmeans.sources.formats.npy import NpyImage

    class Poison(NpyImage):
        '''Of its pixels at (16, 8) the worker dies, in the way that the file's name says.'''

        def decode(self, box, channels):
            if all(a <= at < b for a, at, b in zip(box.start, (16, 8), box.stop)):
                if "crash" in self.path:
                    ctypes.string_at(0)
                taken = []
                while True:
                    taken.append(b"x" * 2**26)
            return super().decode(box, channels)
"""
SAID = {
    "crash": r"bad/crash\.poison \[16:24, 8:16\]: even in an isolated process, it was killed by "
    r"SIGSEGV \(signal 11\), likely a crash of its decoder",
    "eats": r"bad/eats\.poison \[16:24, 8:16\]: even in an isolated process, it took \d+ MiB "
    r"where \d+ MiB are allowed",
}


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A scheduler; the current folder has good and poisonous images in ``bad`` and ``good``."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    added = tmp_path / "added"
    (added / "poison-1.dist-info").mkdir(parents=True)
    (added / "poison_source.py").write_text(dedent(SOURCE))
    (added / "poison-1.dist-info" / "METADATA").write_text("Name: poison\nVersion: 1\n")
    (added / "poison-1.dist-info" / "entry_points.txt").write_text(
        f"[{registry.GROUP}]\npoison = poison_source:Poison\n"
    )
    monkeypatch.syspath_prepend(str(added))
    monkeypatch.chdir(tmp_path)
    registry._installed.cache_clear()
    for name in ("bad", "good"):
        (tmp_path / name).mkdir()
    for i in range(3):
        np.save(f"good/{i}.npy", picture("uint8", 1, (20 + i, 24), seed=i))
    with Site(tmp_path / "site") as site:
        site.environment["PYTHONPATH"] += f":{added}"
        yield site
    registry._installed.cache_clear()


def poison(name):
    with open(f"bad/{name}.poison", "wb") as file:
        np.save(file, picture("uint8", 1, (32, 24), seed=99))


def segmented(paths, out, cluster, scope):
    config = make_config(
        images={"path": paths, "axes": "yxc"},
        kmeans={"k": 3, "scope": scope, "init": {"means": [[10.0], [90.0], [200.0]]}},
        results={"path": out, "chunk": 4, "shard": 8},
        memory=1200 * 2**20,
        cluster=cluster,
    )
    with BUNDLES.taken():
        return run(config)


@pytest.mark.parametrize(
    ("scope", "kinds"), [("image", ("crash", "eats")), ("collection", ("crash",))]
)
def test_on_a_site_the_chunk_and_the_cause_are_named_and_other_images_are_done(site, scope, kinds):
    for kind in kinds:
        poison(kind)
    site.start_workers(2)
    record = segmented(["bad", "good"], "out", site.section(), scope)
    segmented(["good"], "clean", {"kind": "serial"}, scope)
    assert (record.state, record.counts) == ("finished", {"done": 3, "failed": len(kinds)})
    failed = {row.source: row.reason for row in open_run("out").catalog if row.state == "failed"}
    for kind in kinds:
        (reason,) = [why for source, why in failed.items() if kind in source]
        assert re.search(SAID[kind], reason), reason
        assert "KilledWorker" not in reason
    found, clean = stored("out"), stored("clean")
    assert {name: found[name] for name in clean} == clean
    assert Counter(row.state for row in open_run("out").catalog) == record.counts


def test_where_nobody_starts_workers_anew_the_chunk_that_ended_them_is_named(site):
    poison("crash")
    site.start_workers(2, "--no-nanny")
    words = r"has had no worker for 3 seconds; .*; 2 ended while they had .*bad/crash\.poison \["
    with pytest.raises(ClusterError, match=words):
        segmented(["bad"], "out", site.section(wait=3), "image")
