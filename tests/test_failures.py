"""What goes wrong half way: what is said, what is left, what is resumed."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from chunkmeans import ResultError, make_config, open_run, run
from chunkmeans.events import Advanced, ImageFinished, Iterated, PhaseFinished, RunStarted
from chunkmeans.results.read.record import read_record
from chunkmeans.results.store.store import Store
from chunkmeans.results.write.labels import LabelWriter
from chunkmeans.sources.formats.npy import NpyImage
from chunkmeans.steps import chunk

from tests.support.outputs import by_state, complete, save_four
from tests.support.pairs import pairwise
from tests.support.ways import Way
from tests.test_agreement import rows, stored
from tests.test_exactness import picture

MEANS = [[10.0], [90.0], [200.0]]
ONE_TASK = Way()
MANY_TASKS = Way(small=0, chunk=64, bundle=1)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with four small images in ``in``."""
    monkeypatch.chdir(tmp_path)
    save_four()
    return tmp_path


def config(path="in", out="out", scope="image", **kmeans):
    return make_config(
        images={"path": str(path), "axes": "yxc"},
        kmeans={"k": 3, "scope": scope, "init": {"means": MEANS}, **kmeans},
        results={"path": str(out), "chunk": 4, "shard": 8},
        cluster={"kind": "serial"},
    )


def counting(patch, owner, method, name="", at=10**9, error=None):
    """Count the calls of a method about image `name`; from call number `at` on they raise."""
    plain, calls = getattr(owner, method), []

    def counted(self, *args, **kwargs):
        if f"{name}." in self.path:
            calls.append(self.path)
            if len(calls) >= at:
                raise error
        return plain(self, *args, **kwargs)

    patch.setattr(owner, method, counted)
    return calls


# -- half way -------------------------------------------------------------------------------------


@pairwise(
    fault=[
        (NpyImage, "describe", 1, ValueError("no header")),
        (NpyImage, "decode", 1, ValueError("a broken tile")),
        (NpyImage, "decode", 5, ValueError("a broken tile")),
        (NpyImage, "decode", 13, ValueError("a broken tile")),
        (NpyImage, "decode", 2, MemoryError("no more")),
        (LabelWriter, "write", 1, ResultError("out: no space left")),
        (LabelWriter, "write", 9, RuntimeError("a bug")),
        (LabelWriter, "write_upper", 1, RuntimeError("a bug")),
        (LabelWriter, "mark", 1, ResultError("out: no space left")),
    ],
    way=[ONE_TASK, MANY_TASKS],
    scope=["image", "collection"],
)
def test_a_fault_costs_its_image_alone_and_leaves_no_store_that_looks_complete(
    folder, fault, way, scope
):
    owner, method, at, error = fault
    with way.taken(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunk.PIXEL_CACHE, "get_or_load", lambda key, load, **how: load())
        calls = counting(patch, owner, method, "b", at, error)
        record = run(config(scope=scope))
    if len(calls) < at:
        pytest.skip(f"{method} is called {len(calls)} times only")

    assert record.state == "finished"
    assert by_state()["failed"] == ["b"]
    assert complete() == ["a", "c", "d"] == list(open_run("out").images)
    row = next(row for row in open_run("out").catalog if row.id == "b")
    assert str(error) in row.reason
    assert row.store == ""

    read_in_vain = owner is NpyImage and at != 13
    if scope == "image" or read_in_vain:
        os.remove("in/b.npy")
        run(config(scope=scope, out="without"))
        assert stored("out") == stored("without")
        assert {**rows(open_run("out")), "b": None} == {**rows(open_run("without")), "b": None}


@pytest.mark.parametrize("scope", ["image", "collection"])
def test_the_next_run_does_the_failed_image_again(folder, scope):
    run(config(scope=scope, out="clean"))
    with pytest.MonkeyPatch.context() as patch:
        counting(patch, LabelWriter, "write", "b", 1, ResultError("out: no space left"))
        run(config(scope=scope))
    assert by_state()["failed"] == ["b"]

    with pytest.MonkeyPatch.context() as patch:
        read = counting(patch, NpyImage, "decode")
        run(config(scope=scope))

    assert "failed" not in by_state()
    assert stored("out") == stored("clean")
    if scope == "image":
        assert {Path(p).stem for p in read} == {"b"}


@pytest.mark.parametrize("scope", ["image", "collection"])
def test_a_finished_run_is_not_done_again(folder, scope):
    first = run(config(scope=scope))
    with pytest.MonkeyPatch.context() as patch:
        read = counting(patch, NpyImage, "decode")
        written = counting(patch, LabelWriter, "write")
        again = run(config(scope=scope))

    assert read == written == []
    assert again.counts == first.counts
    assert (again.inertia, again.iterations, again.residual) == (
        first.inertia, first.iterations, first.residual,
    )  # fmt: skip
    assert read_record(Store("out")).state == "finished"


@pytest.mark.parametrize("scope", ["image", "collection"])
def test_a_changed_image_is_done_again_and_a_new_one_too(folder, scope):
    run(config(scope=scope))
    np.save("in/b.npy", picture("uint8", 1, (9, 9), seed=7))
    np.save("in/e.npy", picture("uint8", 1, (5, 9), seed=8))
    os.remove("in/d.npy")
    with pytest.MonkeyPatch.context() as patch:
        read = counting(patch, NpyImage, "decode")
        run(config(scope=scope))

    run(config(scope=scope, out="clean"))
    listed = rows(open_run("out"))
    if scope == "image":
        assert list(listed) == ["a", "b", "c", "e", "d"]
        del listed["d"]  # still what became of it when it was there
    assert listed == rows(open_run("clean"))
    found, clean = stored("out"), stored("clean")
    assert {name: found[name] for name in clean} == clean
    if scope == "image":
        assert {Path(p).stem for p in read} == {"b", "e"}


def test_an_image_that_broke_since_loses_its_old_result(folder):
    run(config())
    Path("in/b.npy").write_bytes(b"\x93NUMPY and nothing more")
    run(config())

    assert by_state() == {"done": ["a", "c", "d"], "failed": ["b"]}
    assert complete() == ["a", "c", "d"]


def test_the_same_images_elsewhere_are_other_images(folder):
    run(config())
    shutil.copytree("in", "moved", copy_function=shutil.copy2)
    np.save("moved/b.npy", np.load("in/b.npy")[::-1])
    os.utime("moved/b.npy", ns=(0, os.stat("in/b.npy").st_mtime_ns))
    run(config(path="moved"))

    run(config(path="moved", out="clean"))
    assert stored("out") == stored("clean")


def test_a_file_that_changes_while_it_is_segmented_is_refused(folder):
    def rewrite(event):
        if isinstance(event, PhaseFinished) and (event.phase, event.subject) == ("read", "b"):
            np.save("in/b.npy", picture("uint8", 1, (21, 24), seed=99))

    with MANY_TASKS.taken():
        run(config(), watch=rewrite)

    assert by_state() == {"done": ["a", "c", "d"], "failed": ["b"]}
    (reason,) = [row.reason for row in open_run("out").catalog if row.id == "b"]
    assert "b.npy: the file changed while it was being segmented" in reason
    assert complete() == ["a", "c", "d"]


# -- stopped --------------------------------------------------------------------------------------


def stop_at(number, kind=object):
    """Return a watcher that presses Ctrl-C at the event of that number."""
    seen = []

    def watch(event):
        if isinstance(event, kind):
            seen.append(event)
            if len(seen) == number:
                raise KeyboardInterrupt

    return watch


@pairwise(
    stop=[(RunStarted, 1), (Advanced, 1), (Advanced, 12), (Advanced, 30), (ImageFinished, 3)],
    way=[ONE_TASK, MANY_TASKS],
    scope=["image", "collection"],
)
def test_what_was_interrupted_goes_on_to_the_same_bytes(folder, way, scope, stop):
    kind, number = stop
    run(config(scope=scope, out="clean"))
    with way.taken():
        try:
            run(config(scope=scope), watch=stop_at(number, kind))
        except KeyboardInterrupt:
            assert open_run("out").record.state == "interrupted"
        else:
            assert kind is Advanced, "nothing was interrupted"
            assert way is ONE_TASK
        listed = [row.id for row in open_run("out").catalog if row.store]
        assert set(listed) <= set(complete())
        for image in open_run("out").images.values():
            image.check(read=True)

        again = run(config(scope=scope))

    assert again.state == "finished"
    assert stored("out") == stored("clean")
    assert rows(open_run("out")) == rows(open_run("clean"))
    assert {n: m.to_dict() for n, m in open_run("out").models.items()} == {
        n: m.to_dict() for n, m in open_run("clean").models.items()
    }


def test_old_means_are_never_mixed_with_new_ones_by_a_run_that_died(folder):
    run(config(scope="collection"))
    np.save("in/b.npy", picture("uint8", 1, (30, 30), seed=50))

    class Killed(BaseException):
        """Stands for a process that ends there and then."""

    with pytest.MonkeyPatch.context() as patch:

        def die(event):
            if isinstance(event, ImageFinished):
                patch.setattr("chunkmeans.steps.resume.ledger.Ledger.save", lambda self: None)
                patch.setattr(
                    "chunkmeans.steps.resume.ledger.Ledger.close", lambda self, state, peak: None
                )
                raise Killed

        with pytest.raises(Killed):
            run(config(scope="collection"), watch=die)
    assert open_run("out").record.state == "running"
    assert open_run("out").models == {}
    assert not open_run("out").images

    run(config(scope="collection"))
    run(config(scope="collection", out="clean"))
    assert stored("out") == stored("clean")


def test_a_run_that_ends_by_an_error_of_its_own_says_failed(folder):
    def bug(event):
        if isinstance(event, Iterated | ImageFinished):
            raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        run(config(), watch=bug)

    assert open_run("out").record.state == "failed"
