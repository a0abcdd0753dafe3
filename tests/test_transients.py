"""An object store that fails: each request in turn, once or for good, before it is done or after.

A request that fails after it was done is one whose answer came too late. A store that fails from
some request on is also a driver that dies there: what is left is looked at.
"""

from io import BytesIO
from uuid import uuid4

import numpy as np
import pytest
import tifffile
import typer
import zarr
from chunkmeans import make_config, open_run, run
from chunkmeans.cli.failures import reporting_failures
from chunkmeans.errors import ChunkmeansError
from chunkmeans.results.read.open_results import open_segmented
from chunkmeans.results.store import lease
from chunkmeans.results.store.lease import holder
from chunkmeans.results.store.store import Store, image_path
from PIL import Image as Pillow

from tests.support.object_store import OBJECTS, Told, objects, put
from tests.support.pairs import pairwise
from tests.support.ways import Way
from tests.test_exactness import picture

MEANS = [[10.0], [90.0], [200.0]]
WHOLE = Way()
CHUNKS = Way(small=0, chunk=200, bundle=1)


@pytest.fixture(scope="module", autouse=True)
def images():
    """Three small images of three formats, in ``told://in``."""
    for i, name in enumerate("abc"):
        pixels = picture("uint8", 1, (20 + i, 24), seed=i)[..., 0]
        file = BytesIO()
        if name == "a":
            tifffile.imwrite(file, pixels, tile=(16, 16))
            put("told://in/a.tif", file.getvalue())
        elif name == "b":
            Pillow.fromarray(pixels).save(file, "png")
            put("told://in/b.png", file.getvalue())
        else:
            held = {}
            zarr.create_array(held, data=pixels, chunks=(16, 16))
            for key, value in held.items():
                put(f"told://in/c.zarr/{key}", value.to_bytes())
    yield
    OBJECTS.clear()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Rests are short, and signs of life no requests among those that are counted."""
    monkeypatch.setattr(lease, "SETTLE", 0.0)
    monkeypatch.setattr(lease, "BEAT", 1000.0)
    for module in ("chunkmeans.retry", "chunkmeans.engines.worker.attempt"):
        monkeypatch.setattr(f"{module}.sleep", lambda seconds: None)
    yield
    Told.tell = None


def config(out, scope="image"):
    return make_config(
        images={"path": ["told://in"], "axes": "yx"},
        kmeans={"k": 3, "scope": scope, "init": {"means": MEANS}},
        results={"path": f"told://{out}", "chunk": 4, "shard": 8},
        cluster={"kind": "serial"},
    )


def results(out):
    """Return what a run leaves but what tells of times: see `tests.support.kills.written`."""
    return {
        name: data
        for name, data in objects(f"told://{out}").items()
        if name not in ("run.json", "catalog.csv") and not name.startswith(("logs/", "samples"))
    }


class Fault:
    """Fails the request of a number, from 1; at once or after it was done, once or for good."""

    def __init__(self, number, when="before", lasting=False, error=TimeoutError):
        self.number, self.when, self.lasting, self.error = number, when, lasting, error
        self.requests = self.failed = 0

    def __call__(self, when, request, path, nbytes):
        if when == "before":
            self.requests += 1
        due = self.requests >= self.number if self.lasting else self.requests == self.number
        if due and when == self.when:
            self.failed += 1
            raise self.error(f"{request} {path}: the store did not answer")


def forget(out):
    for name in objects(f"told://{out}"):
        del OBJECTS[f"{out}/{name}"]


@pytest.fixture
def out():
    """Return where a test writes, and leave nothing there."""
    name = uuid4().hex
    yield name
    Told.tell = None
    forget(name)


def _run(way, config):
    with way.taken():
        return run(config)


def refuse_marks_without_data(out):
    """Every image that looks complete is: nothing missing, nothing damaged."""
    store = Store(f"told://{out}")
    for name in store.image_names():
        try:
            image = open_segmented(store, image_path(name), allow_incomplete=True)
        except ChunkmeansError:
            continue  # it was not even begun
        if image.complete:
            image.check(read=True)


CASES = [(way, scope) for way in (WHOLE, CHUNKS) for scope in ("image", "collection")]
named = pytest.mark.parametrize(
    ("way", "scope"), CASES, ids=[f"{'whole' if w is WHOLE else 'chunks'}-{s}" for w, s in CASES]
)
EACH = pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])
numbered = pytest.mark.parametrize("every", [37, pytest.param(17, marks=pytest.mark.full), EACH])
"""Of the requests of a run, the first, and so on; in the slow tests each."""


@pytest.fixture(scope="module")
def clean():
    """Return what a run that nothing disturbs leaves."""
    left = {}
    for scope in ("image", "collection"):
        run(config(f"clean-{scope}", scope))
        left[scope] = results(f"clean-{scope}")
    return left


@numbered
@pairwise(way=[WHOLE, CHUNKS], scope=["image", "collection"], when=["before", "after"])
def test_a_request_that_fails_once_changes_nothing(clean, way, scope, when, every, out):
    number, failed = 1 - every, 1
    while failed:
        number += every
        Told.tell = fault = Fault(number, when)
        record = _run(way, config(out, scope))
        Told.tell = None
        failed = fault.failed
        assert record.state == "finished", number
        assert record.counts == {"done": 3}, number
        assert results(out) == clean[scope], number
        assert holder(Store(f"told://{out}")) is None
        forget(out)
    assert number > 50


@numbered
@pairwise(way=[WHOLE, CHUNKS], scope=["image", "collection"], when=["before", "after"])
def test_nor_does_it_where_a_run_goes_on_with_what_is_there(clean, way, scope, when, every, out):
    number, failed = 1 - every, 1
    while failed:
        number += every
        for name, data in objects(f"told://clean-{scope}").items():
            if not name.startswith("images/b") and name != "lease.json":
                put(f"told://{out}/{name}", data)
        Told.tell = fault = Fault(number, when)
        record = _run(way, config(out, scope))
        Told.tell = None
        failed = fault.failed
        assert record.counts == {"done": 3}, number
        assert results(out) == clean[scope], number
        forget(out)
    assert number > 50


@numbered
@pairwise(way=[WHOLE, CHUNKS], scope=["image", "collection"], when=["before", "after"])
def test_a_store_that_is_gone_ends_the_run_clearly_and_the_same_command_goes_on(
    clean, way, scope, when, every, out, capsys
):
    number, failed = 1 - every, 1
    while failed:
        number += every
        Told.tell = fault = Fault(number, when, lasting=True)
        code, record = ended(way, config(out, scope))
        Told.tell = None
        failed = fault.failed
        said = capsys.readouterr().err
        if code:
            assert code == 3, (number, said)
            assert "did not answer" in said, number
            assert "the same command resumes" in said, number
            assert "Traceback" not in said, number
        else:  # nothing was left to do but to give up the lease
            assert results(out).keys() - {"lease.json"} == clean[scope].keys(), number
        refuse_marks_without_data(out)

        record = _run(way, config(out, scope))
        assert record.counts == {"done": 3}, number
        assert results(out) == clean[scope], number
        forget(out)
    assert number > 50


def ended(way, asked):
    """Run as the command does; return the exit code and the record."""
    try:
        with reporting_failures(resumes=True):
            return 0, _run(way, asked)
    except typer.Exit as end:
        return end.exit_code, None


@named
def test_results_are_put_once_each_and_whole(way, scope, out):
    puts = []
    Told.tell = lambda when, request, path, _: (
        puts.append(path) if (when, request) == ("after", "put") else None
    )
    _run(way, config(out, scope))
    Told.tell = None
    stores = [name for name in puts if name.startswith(f"{out}/images/")]
    shards = [name for name in stores if "/c/" in name]
    left = [name for name in results(out) if name.startswith("images/") and "/c/" in name]
    assert len(shards) == len(set(shards)) == len(left)
    for store in {name.partition(".ome.zarr/")[0] for name in stores}:
        ours = [name for name in stores if name.startswith(f"{store}.ome.zarr/")]
        assert ours[-1] == f"{store}.ome.zarr/zarr.json"
        assert ours.count(ours[-1]) == 2  # begun, and complete


@named
def test_what_is_read_back_is_what_a_folder_holds(tmp_path, clean, way, scope):
    local = make_config(
        images={"path": ["told://in"], "axes": "yx"},
        kmeans={"k": 3, "scope": scope, "init": {"means": MEANS}},
        results={"path": str(tmp_path / "out"), "chunk": 4, "shard": 8},
        cluster={"kind": "serial"},
    )
    _run(way, local)
    store = Store(str(tmp_path / "out"))
    here = {name: store.read_bytes(name) for name in store.files()}
    here = {n: d for n, d in here.items() if n in clean[scope]}
    assert here == clean[scope]
    there = open_run(f"told://clean-{scope}")
    for name, image in open_run(store.path).images.items():
        assert np.array_equal(there.images[name].labels()[...], image.labels()[...])
