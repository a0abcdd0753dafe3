"""What goes wrong half way, or before the start: what is said, what is left, what is resumed."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from pipeline import ResultError, SourceError, make_config, open_run, run, segment
from pipeline.cli.commands import app
from pipeline.events import Advanced, ImageFinished, Iterated, PhaseFinished, RunStarted
from pipeline.results.labels import LabelWriter
from pipeline.results.record import read_record
from pipeline.results.store import IMAGES, METADATA, Store
from pipeline.sources.npy import NpyImage
from pipeline.steps import chunk
from tests.test_agreement import Way, rows, stored
from tests.test_exactness import picture

MEANS = [[10.0], [90.0], [200.0]]
ONE_TASK = Way()
MANY_TASKS = Way(small=0, chunk=64, bundle=1)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with four small images in ``in``."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for i, name in enumerate("abcd"):
        np.save(f"in/{name}.npy", picture("uint8", 1, (20 + i, 24), seed=i))
    return tmp_path


def config(path="in", out="out", scope="image", **kmeans):
    return make_config(
        images={"path": str(path), "axes": "yxc"},
        kmeans={"k": 3, "scope": scope, "init": {"means": MEANS}, **kmeans},
        results={"path": str(out), "chunk": 4, "shard": 8},
        cluster={"kind": "serial"},
    )


def by_state(out="out"):
    """Return the ids of a catalogue by their state."""
    found = {}
    for row in open_run(out).catalog:
        found.setdefault(row.state, []).append(row.id)
    return found


def complete(out="out"):
    """Return the ids of stores that look complete, whatever the catalogue says."""
    found = []
    for store in sorted((Path(out) / IMAGES).glob("*.ome.zarr")):
        if (store / METADATA).exists():
            attributes = json.loads((store / METADATA).read_text())["attributes"]
            if "ome" in attributes or attributes["chunkmeans"]["complete"]:
                found.append(store.name.removesuffix(".ome.zarr"))
    return found


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


@pytest.mark.parametrize(
    ("owner", "method", "at", "error"),
    [
        (NpyImage, "describe", 1, ValueError("no header")),
        (NpyImage, "decode", 1, ValueError("a broken tile")),
        (NpyImage, "decode", 5, ValueError("a broken tile")),
        (NpyImage, "decode", 13, ValueError("a broken tile")),
        (NpyImage, "decode", 2, MemoryError("no more")),
        (LabelWriter, "write", 1, ResultError("out: no space left")),
        (LabelWriter, "write", 9, RuntimeError("a bug")),
        (LabelWriter, "write_upper", 1, RuntimeError("a bug")),
        (LabelWriter, "finish", 1, ResultError("out: no space left")),
    ],
)
@pytest.mark.parametrize("way", [ONE_TASK, MANY_TASKS], ids=["one task", "many tasks"])
@pytest.mark.parametrize("scope", ["image", "collection"])
def test_a_fault_costs_its_image_alone_and_leaves_no_store_that_looks_complete(
    folder, owner, method, at, error, way, scope
):
    with way.taken(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunk, "held", lambda key, load, **how: load())
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


@pytest.mark.parametrize("way", [ONE_TASK, MANY_TASKS], ids=["one task", "many tasks"])
@pytest.mark.parametrize("scope", ["image", "collection"])
@pytest.mark.parametrize(
    ("kind", "number"),
    [(RunStarted, 1), (Advanced, 1), (Advanced, 12), (Advanced, 30), (ImageFinished, 3)],
)
def test_what_was_interrupted_goes_on_to_the_same_bytes(folder, way, scope, kind, number):
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
                patch.setattr("pipeline.steps.ledger.Ledger.save", lambda self: None)
                patch.setattr("pipeline.steps.ledger.write_record", lambda store, record: None)
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


# -- other settings, other folders ----------------------------------------------------------------


def call(*args):
    """Call the program in this process; return its exit code and what it printed."""
    result = CliRunner().invoke(app, [*args], prog_name="chunkmeans")
    return result.exit_code, re.sub(r"\s+", " ", result.output)


@pytest.fixture
def yaml(folder):
    """Path of a config of the four images."""
    Path("c.yaml").write_text(
        "images:\n  path: in\n  axes: yxc\n"
        "kmeans:\n  k: 3\n"
        "results:\n  path: out\n"
        "cluster:\n  kind: serial\n"
    )
    return "c.yaml"


def test_other_settings_are_refused_by_name_unless_they_may_overwrite(yaml):
    assert call("run", yaml)[0] == 0
    before = stored("out")

    code, said = call("run", yaml, "--set", "kmeans.k=4", "--set", "kmeans.seed=9")
    assert code == 2
    assert "out: holds results of other settings" in said
    assert "kmeans.k: 3 -> 4" in said
    assert "kmeans.seed: 0 -> 9" in said
    assert "--overwrite" in said
    assert stored("out") == before
    assert open_run("out").record.state == "finished"

    assert call("run", yaml, "--set", "kmeans.k=4", "--overwrite")[0] == 0
    assert {image.model.k for image in open_run("out").images.values()} == {4}


def test_results_of_another_version_of_the_algorithm_are_refused(yaml, monkeypatch):
    assert call("run", yaml)[0] == 0
    monkeypatch.setattr("pipeline.results.record.ALGORITHM_VERSION", 10**6)
    code, said = call("run", yaml)

    assert code == 2
    assert "the algorithm of this version of chunkmeans is another one" in said


def test_where_and_by_whom_it_is_computed_is_no_setting(yaml):
    assert call("run", yaml)[0] == 0
    code, said = call("run", yaml, "--set", "memory=2GiB", "--set", "cluster.options.threads=2")
    assert code == 0, said


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
@pytest.mark.parametrize("name", ["images/precious.tif", "model.zarr/c/0", "catalog.csv"])
@pytest.mark.parametrize("scope", ["image", "collection"])
def test_a_folder_that_is_no_output_is_neither_written_into_nor_emptied(
    yaml, overwrite, name, scope
):
    precious = Path("mine") / name
    precious.parent.mkdir(parents=True)
    precious.write_bytes(b"pixels")
    asked = ("--set", "results.path=mine", "--set", f"kmeans.scope={scope}")
    code, said = call("run", yaml, *asked, *overwrite)

    assert code == 2
    what = name.partition("/")[0]
    assert f"holds '{what}' but no run.json, so it is no output of chunkmeans" in said
    assert [p for p in Path("mine").rglob("*") if p.is_file()] == [precious]
    assert precious.read_bytes() == b"pixels"


# -- every error by its message -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "kmeans: {kk: 3}",
            r"c\.yaml:4:10: kmeans\.kk: there is no such key; did you mean kmeans\.k\?",
        ),
        ("kmean: {k: 3}", r"c\.yaml:4:1: kmean: there is no such key; did you mean kmeans\?"),
        ("kmeans: {k: 0}", r"c\.yaml:4:10: kmeans\.k: must be at least 1, found 0"),
        ("kmeans: {k: -2}", r"c\.yaml:4:10: kmeans\.k: must be at least 1, found -2"),
        ("kmeans: {k: 65536}", r"c\.yaml:4:10: kmeans\.k: must be at most 65535, found 65536"),
        (
            "kmeans: {k: 3, threshold: -0.5}",
            r"c\.yaml:4:16: kmeans\.threshold: must be at least 0, found -0\.5",
        ),
        ("kmeans: {k: 3}\nfeatures: {scale: [1, 2]}", r"2 weights for 1 channels"),
        ("kmeans: {init: {means: [[1, 2], [3, 4]]}}", r"means have 2 channels, the image has 1"),
    ],
)
def test_a_wrong_config_is_an_error_at_its_place(folder, text, said):
    Path("c.yaml").write_text(
        "images: {path: in, axes: yxc}\nresults: {path: out}\ncluster: {kind: serial}\n" + text
    )
    code, found = call("run", "c.yaml")

    if "channels" in said:
        assert code == 1
        found = " ".join(row.reason for row in open_run("out").catalog)
    else:
        assert code == 2
        assert not Path("out").exists()
    assert re.search(said, found), found


def test_a_missing_image_is_an_error_before_the_start(yaml):
    code, said = call("run", yaml, "--set", "images.path=in/z.npy")
    assert code == 2
    assert "in/z.npy" in said
    assert not Path("out").exists()


def test_a_missing_mask_fails_each_image_that_needs_it(yaml):
    code, _ = call("run", yaml, "--set", "images.mask=masks/{stem}.npy")
    assert code == 1
    assert by_state() == {"failed": ["a", "b", "c", "d"]}
    assert re.search(r"masks/a\.npy", open_run("out").catalog[0].reason)


def broken_npy(path):
    path.write_bytes(b"no picture at all")


def broken_tiff(path):
    tifffile.imwrite(path, picture("uint8", 3, (64, 64)), tile=(16, 16), compression="zlib")
    path.write_bytes(path.read_bytes()[:2000])


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("bad.npy", broken_npy),
        ("bad.tif", broken_tiff),
        ("bad.png", broken_npy),
        ("bad.jpg", empty),
        ("bad.npy", empty),
    ],
)
def test_an_unreadable_image_fails_by_name_and_the_others_are_done(yaml, name, make):
    make(Path("in") / name)
    code, said = call("run", yaml, "--set", "images.axes=null")

    assert code == 1
    (row,) = [row for row in open_run("out").catalog if row.state == "failed"]
    assert name in row.reason
    assert row.reason.count(name) == 1
    assert name in said
    assert complete() == ["a", "b", "c", "d"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_forbidden_image_fails_by_name(yaml):
    os.chmod("in/b.npy", 0)
    code, _ = call("run", yaml)

    assert code == 1
    assert by_state()["failed"] == ["b"]
    (row,) = [row for row in open_run("out").catalog if row.state == "failed"]
    assert re.search(r"b\.npy.*Permission denied", row.reason)


def test_a_channel_out_of_range_is_an_error_that_says_which_there_are(yaml):
    code, _ = call("run", yaml, "--set", "images.channels=[1]")
    assert code == 1
    assert "channel 1 is out of range, the image has 0 to 0" in open_run("out").catalog[0].reason


def test_a_mask_of_another_shape_is_an_error_with_both_shapes(yaml):
    np.save("mask.npy", np.ones((20, 23), np.uint8))
    code, _ = call("run", yaml, "--set", "images.mask=mask.npy")
    assert code == 1
    reason = open_run("out").catalog[0].reason
    assert re.search(
        r"a\.npy: the image is \(20, 24\) pixels, its mask .*mask\.npy is \(20, 23\)", reason
    )


def test_too_little_memory_is_refused_with_both_numbers(yaml):
    code, said = call("run", yaml, "--set", "memory=16MiB")
    assert code == 1
    for row in open_run("out").catalog:
        assert re.search(r"memory: a worker needs \d+ MiB.* has 16 MiB; raise `memory`", row.reason)
        assert row.reason.split(":")[0] in said


def test_where_nothing_can_be_written_the_command_says_so(yaml):
    Path("out").write_text("a file")
    code, said = call("run", yaml)
    assert code == 2
    assert "out" in said


def test_an_image_without_a_valid_pixel_is_skipped_and_no_failure(yaml):
    np.save("in/b.npy", np.zeros((5, 5, 1), np.uint8))
    code, _ = call("run", yaml, "--set", "images.nodata=0")

    assert code == 0
    assert by_state()["skipped"] == ["b"]
    assert "b" not in complete()


def test_errors_name_what_they_are_about():
    with pytest.raises(SourceError, match=r"no/such/image\.tif"):
        segment("no/such/image.tif", 3)
