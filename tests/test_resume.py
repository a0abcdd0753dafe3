"""Killed at any moment, the same command ends with the same bytes, and does nothing twice."""

import contextlib
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from chunkmeans import make_config, open_run, run
from chunkmeans.events import (
    Advanced,
    ImageFinished,
    Iterated,
    PhaseFinished,
    PhaseStarted,
    RunFinished,
    RunStarted,
)
from chunkmeans.results.store.lease import holder
from chunkmeans.results.store.store import LEASE, Store
from chunkmeans.results.write.labels import LabelWriter
from chunkmeans.sources.formats.npy import NpyImage

from tests.support.kills import killed_at, killed_by, moments_of, written
from tests.support.outputs import complete, save_four
from tests.support.ways import Way
from tests.test_agreement import rows
from tests.test_exactness import picture

WAYS = {"one task": Way(), "many tasks": Way(small=0, chunk=64, bundle=1)}
MEANS = [[10.0], [90.0], [200.0]]
SCOPES = ["image", "collection"]


def config(out="out", scope="image", path="in", cluster="serial", **sections):
    return make_config(
        images={"path": path, "axes": "yxc", **sections.pop("images", {})},
        kmeans={"k": 3, "scope": scope, "init": {"means": MEANS}, **sections.pop("kmeans", {})},
        results={"path": str(out), "chunk": 4, "shard": 8},
        cluster=cluster,
        **sections,
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with four small images in ``in``."""
    monkeypatch.chdir(tmp_path)
    save_four()
    return tmp_path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Folders by scope, with four smaller images in ``in`` and what a run left, ``clean``."""
    made = {scope: tmp_path_factory.mktemp(scope) for scope in SCOPES}
    for scope, place in made.items():
        with contextlib.chdir(place):
            Path("in").mkdir()
            for i, name in enumerate("abcd"):
                np.save(f"in/{name}.npy", picture("uint8", 1, (11 + i, 15), seed=i))
            run(config("clean", scope))
    return made


@pytest.fixture
def clean(undisturbed, monkeypatch, scope):
    """The current folder, of `undisturbed`; tests may write nothing but other outputs."""
    monkeypatch.chdir(undisturbed[scope])
    for out in ("out", "counted"):
        Store(out).delete("")


@contextlib.contextmanager
def counted():
    """Yield the ids of the images that are read, and of those that are labelled."""
    found = {"read": set(), "labelled": set()}
    with pytest.MonkeyPatch.context() as patch:
        for owner, name, kind in (
            (NpyImage, "decode", "read"),
            (LabelWriter, "write", "labelled"),
        ):
            plain = getattr(owner, name)

            def told(self, *args, plain=plain, kind=kind):
                found[kind].add(Path(self.path).name.split(".")[0])
                return plain(self, *args)

            patch.setattr(owner, name, told)
        yield found


def goes_on(scope, way, **sections):
    """Check what a killed run left, run the same command, and compare with the clean run."""
    done = set(complete())
    if Path("out/run.json").exists() and Path("out/catalog.csv").exists():
        listed = {row.id for row in open_run("out").catalog if row.store}
        assert listed <= done, "the catalogue lists what is not complete"
        for image in open_run("out").images.values():
            image.check(read=True)
    with way.taken(), counted() as again:
        record = run(config(scope=scope, **sections))

    assert record.state == "finished"
    assert not again["labelled"] & done, "finished work is repeated"
    if scope == "image":
        assert not again["read"] & done, "finished images are read again"
    assert written("out") == written("clean")
    assert rows(open_run("out")) == rows(open_run("clean"))
    assert open_run("out").record.inertia == open_run("clean").record.inertia
    with counted() as again:
        run(config(scope=scope, **sections))
    assert again == {"read": set(), "labelled": set()}


def at_phase(kind, phase):
    return lambda event: isinstance(event, kind) and event.phase == phase


STEPS = {
    "the start": lambda event: isinstance(event, RunStarted),
    "the first read": at_phase(PhaseStarted, "read"),
    "a read": at_phase(Advanced, "read"),
    "all reads": at_phase(PhaseFinished, "read"),
    "an iteration": lambda event: isinstance(event, Iterated),
    "the first label": at_phase(PhaseStarted, "label"),
    "a label": at_phase(Advanced, "label"),
    "all labels of an image": at_phase(PhaseFinished, "label"),
    "a pyramid": at_phase(Advanced, "pyramid"),
    "all of a pyramid": at_phase(PhaseFinished, "pyramid"),
    "an image": lambda event: isinstance(event, ImageFinished),
    "the third image": lambda event: isinstance(event, ImageFinished) and event.image == "c",
    "all images": at_phase(PhaseFinished, "images"),
    "the end": lambda event: isinstance(event, RunFinished),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("scope", SCOPES)
def test_a_run_killed_after_any_step_goes_on_to_the_same_bytes(clean, scope, step):
    way = WAYS["many tasks"]
    assert killed_by(config(scope=scope), way, STEPS[step])
    goes_on(scope, way)


def random_moments(scope, way, number, seed):
    """Kill a run at that many moments, each time in a fresh output."""
    moments = moments_of(config("counted", scope), way)
    chosen = random.Random(seed).sample(range(len(moments)), number)
    kills = 0
    for moment in chosen:
        Store("out").delete("")
        kills += killed_at(config(scope=scope), way, moment)
        goes_on(scope, way)
    # how often the catalogue is saved depends on the time, so a run may end a little earlier
    assert kills > 0.9 * number - 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scope", SCOPES)
def test_a_run_killed_at_a_few_random_moments_goes_on_to_the_same_bytes(clean, scope, way):
    random_moments(scope, WAYS[way], 3, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scope", SCOPES)
def test_a_run_killed_at_fifty_random_moments_goes_on_to_the_same_bytes(clean, scope, way):
    random_moments(scope, WAYS[way], 50, seed=50)


@pytest.mark.parametrize(("scope", "share"), [("image", 0.4), ("collection", 0.6)])
def test_a_run_that_is_killed_again_and_again_comes_to_its_end(clean, scope, share):
    """A fit of less than a second is made anew each time; labels are kept."""
    way, kills = WAYS["one task"], 0
    part = int(len(moments_of(config("counted", scope), way)) * share)
    done = 0
    while killed_at(config(scope=scope), way, part):
        kills += 1
        before, done = done, len(complete())
        assert done > before, "it does not come any further"
    assert kills > 0
    goes_on(scope, way)


@pytest.mark.parametrize("scope", ["collection"])
def test_a_run_killed_while_it_deletes_what_it_overwrites_begins_again(clean, scope):
    way, asked = WAYS["one task"], config(scope=scope)
    without_record = 0
    for moment in range(2, 26, 3):
        run(asked)
        assert killed_at(asked, way, moment, overwrite=True)
        without_record += not Path("out/run.json").exists()
        assert run(asked, overwrite=True).state == "finished"
    assert without_record > 0
    assert written("out") == written("clean")


@pytest.mark.parametrize("scope", SCOPES)
def test_a_run_over_changed_images_that_is_killed_mixes_nothing(folder, scope):
    """Old results are there: of the same settings, of another ``b``, and of ``d``, now gone."""
    way = WAYS["one task"]
    run(config(scope=scope))
    np.save("in/b.npy", picture("uint8", 1, (9, 9), seed=7))
    os.remove("in/d.npy")
    moments = 30
    for moment in range(0, moments, 7):
        killed_at(config(scope=scope), way, moment)
        listed = rows(open_run("out")) if Path("out/catalog.csv").exists() else {}
        pools = {open_run("out").images[name].attributes.get("pool") for name in listed}
        assert len(pools) <= 1
    run(config(scope=scope))
    run(config("clean", scope))
    assert {k: v for k, v in written("out").items() if "d.ome.zarr" not in k and "/" in k} == {
        k: v for k, v in written("clean").items() if "/" in k
    }


# -- failures, and what is tried again ------------------------------------------------------------


def spoiled(name="b"):
    """Put something broken in the place of an image, long ago."""
    path = Path(f"in/{name}.npy")
    path.write_bytes(b"\x93NUMPY and nothing more")
    os.utime(path, (1e9, 1e9))


@pytest.mark.parametrize("scope", SCOPES)
def test_a_broken_image_is_not_tried_again_unless_it_changed_or_one_asks(folder, scope):
    spoiled()
    run(config(scope=scope))
    with counted() as again:
        record = run(config(scope=scope))
    assert again == {"read": set(), "labelled": set()}
    assert record.counts == {"done": 3, "failed": 1}
    assert open_run("out").record.problems[0][0] == "b"

    tried = []
    run(config(scope=scope), retry_failed=True, watch=tried.append)
    (failed,) = [event for event in tried if getattr(event, "state", "") == "failed"]
    assert "b.npy" in failed.reason

    np.save("in/b.npy", picture("uint8", 1, (21, 24), seed=1))
    with counted() as again:
        assert run(config(scope=scope)).counts == {"done": 4}
    if scope == "image":
        assert again["read"] == {"b"}
    run(config("clean", scope))
    assert written("out") == written("clean")


@pytest.mark.parametrize("scope", SCOPES)
def test_what_a_limit_refused_is_tried_again_under_another_limit_and_not_before(folder, scope):
    np.save("in/b.npy", picture("uint8", 1, (50, 60), seed=7))
    os.utime("in/b.npy", (1e9, 1e9))
    tight = {"limits": {"pixels": 2000}}
    assert run(config(scope=scope, images=tight)).counts == {"done": 3, "failed": 1}
    other = {"limits": {"pixels": 2000, "pages": 9}}
    for same in (tight, other):
        tried = []
        record = run(config(scope=scope, images=same), watch=tried.append)
        assert not [e for e in tried if isinstance(e, ImageFinished)], "nothing changed for it"
        assert record.counts == {"done": 3, "failed": 1}
    run(config(scope=scope, images=tight), retry_failed=True, watch=tried.append)
    assert "b" in {e.image for e in tried if isinstance(e, ImageFinished)}

    assert run(config(scope=scope, images={"limits": {"pixels": 3000}})).counts == {"done": 4}
    log = Path("out/logs/run.jsonl").read_text()
    assert "b is segmented again: images.limits.pixels changed: " in log
    run(config("clean", scope))
    assert written("out") == written("clean")


@pytest.mark.parametrize("scope", SCOPES)
def test_a_collection_without_its_broken_image_survives_a_kill_too(folder, scope):
    spoiled()
    run(config("clean", scope))
    assert killed_by(config(scope=scope), WAYS["one task"], STEPS["the third image"])
    goes_on(scope, WAYS["one task"])


def test_the_log_says_why_images_are_done_again(folder):
    run(config())
    np.save("in/b.npy", picture("uint8", 1, (9, 9), seed=7))
    Store("out").delete("images/c.ome.zarr")
    told = []
    run(config(), watch=told.append)

    log = Path("out/logs/run.jsonl").read_text()
    assert "b is segmented again: the file changed: it was" in log
    assert "c is segmented again: its store is gone" in log
    assert "a is segmented again" not in log
    assert any(
        "segmenting 2 images of the previous run again" in getattr(e, "text", "") for e in told
    )


# -- one driver, and no litter --------------------------------------------------------------------


@pytest.mark.parametrize("scope", SCOPES)
def test_what_a_killed_run_left_half_made_is_swept(clean, scope):
    killed_by(config(scope=scope), WAYS["one task"], STEPS["an image"])
    assert holder(Store("out")) is not None
    for name in ("run.json.1f.partial", "logs/x.2e.partial", "images/zz.ome.zarr/zarr.json"):
        path = Path("out") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        begun = '{"zarr_format": 3, "node_type": "group", "attributes": '
        path.write_text(begun + '{"chunkmeans": {"format": 1, "complete": false}}}')
    told = []
    run(config(scope=scope), watch=told.append)

    assert written("out") == written("clean")
    assert not list(Path("out").rglob("*.partial"))
    assert not Path("out", LEASE).exists()
    assert any("the previous run was killed" in getattr(event, "text", "") for event in told)


def test_a_second_run_on_the_same_output_is_refused_while_the_first_lives(folder):
    refused = []

    def second(event):
        if isinstance(event, RunStarted):
            with pytest.raises(Exception, match="another run is writing there: process") as found:
                run(config())
            refused.append(str(found.value))

    assert run(config(), watch=second).state == "finished"
    assert str(os.getpid()) in refused[0]


@pytest.mark.usefixtures("foreground")
def test_a_request_to_end_leaves_an_output_that_says_interrupted(folder):
    Path("c.yaml").write_text(
        "images: {path: in, axes: yxc}\nkmeans: {k: 3}\nresults: {path: out}\n"
        "cluster: {kind: serial}\n"
    )
    code = (
        "import sys, time\n"
        "from chunkmeans.sources.formats.npy import NpyImage\n"
        "decode = NpyImage.decode\n"
        "def slow(self, *rest):\n"
        "    if 'c.npy' in self.path:\n"
        "        print('reads', flush=True)\n"
        "        time.sleep(60)\n"
        "    return decode(self, *rest)\n"
        "NpyImage.decode = slow\n"
        "from chunkmeans.cli import main\n"
        "sys.argv = ['chunkmeans', 'run', 'c.yaml']\n"
        "main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout.readline() == "reads\n"
        process.send_signal(signal.SIGTERM)
        assert "the same command resumes" in process.stderr.read()
    assert process.returncode == 130
    record = open_run("out").record
    assert (record.state, record.pending) == ("interrupted", 2)
    assert not Path("out", LEASE).exists()
    assert Path("out/labels.csv").read_text().count("\n") == 1 + 2 * 3
