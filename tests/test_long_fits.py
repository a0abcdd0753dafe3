"""A long fit that is stopped goes on to the same bits, and no pixel is collected twice."""

import multiprocessing
import os
import random
import signal
import time
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from chunkmeans import make_config, open_run, run
from chunkmeans.events import Iterated, Note, PhaseFinished, PhaseStarted
from chunkmeans.kmeans.tree import TableSource
from chunkmeans.results.store import pace, versions
from chunkmeans.results.store.store import FITS, SAMPLES, Store
from chunkmeans.sources.formats.npy import NpyImage
from chunkmeans.steps.resume import saved, saved_samples

from tests.support.judge import same_model
from tests.support.kills import killed_by, written
from tests.support.outputs import save_four
from tests.support.ways import tuned
from tests.test_agreement import RAW, Way, rows
from tests.test_exactness import picture

TABLE = Way(small=0, chunk=256, bundle=1)
PIXELS = Way(small=0, chunk=256, bundle=1, **RAW)
RESULTS = {"chunk": 16, "shard": "none", "pyramid": "none"}
MEANS = [[3.0], [90.0], [91.0], [200.0]]
COPIES = multiprocessing.get_context("fork")


def config(out="out", scope="image", **sections):
    manifest = {"path": "groups.csv"} if scope == "group" else {"path": "in"}
    return make_config(
        images={"axes": "yxc", **manifest},
        kmeans={"k": 4, "scope": scope, **sections.pop("kmeans", {})},
        results={"path": str(out), **RESULTS, **sections.pop("results", {})},
        cluster="serial",
        **sections,
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with four small images in ``in`` and a manifest of two groups."""
    monkeypatch.chdir(tmp_path)
    save_four()
    Path("groups.csv").write_text("path,group\nin/a.npy,x\nin/b.npy,y\nin/c.npy,x\nin/d.npy,y\n")
    return tmp_path


@pytest.fixture
def each_saved(monkeypatch):
    """Every iteration is saved, though it takes no time."""
    monkeypatch.setattr(saved, "SECONDS_BETWEEN_FITS", 0.0)
    monkeypatch.setattr(pace, "PAUSE_PER_SAVE", 0)


@pytest.fixture
def each_task(monkeypatch):
    """Every task is a batch of its own."""
    tuned(monkeypatch, tasks_per_thread=1)
    monkeypatch.setattr(saved_samples, "LEAST_SHARE", 2**62)


class Stop(KeyboardInterrupt):
    """What ends a run in the middle."""


class Watch:
    """Notes events and what is decoded in which phase; stops at an event of a kind and number."""

    def __init__(self, kind=None, number=0):
        self.kind, self.left = kind, number
        self.events = []
        self.decoded = []

    def __call__(self, event):
        self.events.append(event)
        if self.kind is not None and isinstance(event, self.kind):
            self.left -= 1
            if not self.left:
                raise Stop

    @property
    def phase(self):
        begun = [e for e in self.events if isinstance(e, PhaseStarted | PhaseFinished)]
        return begun[-1].phase if begun and isinstance(begun[-1], PhaseStarted) else ""

    @property
    def iterations(self):
        return [(e.restart, e.index) for e in self.events if isinstance(e, Iterated)]

    @property
    def collected(self):
        """Names of the images that were read to collect their pixels."""
        return {name for phase, name, _ in self.decoded if phase == "read"}

    @property
    def notes(self):
        return " ".join(e.text for e in self.events if isinstance(e, Note))

    @contextmanager
    def decoding(self):
        decode = NpyImage.decode

        def told(image, box, channels):
            self.decoded.append((self.phase, Path(image.path).stem, box))
            return decode(image, box, channels)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(NpyImage, "decode", told)
            yield self


def ran(way=TABLE, watch=None, overwrite=False, **asked):
    """Run one way, watched; return the watch."""
    watch = Watch() if watch is None else watch
    with way.taken(), watch.decoding():
        run(config(**asked), watch=watch, overwrite=overwrite)
    return watch


def stopped(kind, number, way=TABLE, **asked):
    """Run until the event of a kind and number; return whether it came to that."""
    try:
        ran(way, Watch(kind, number), **asked)
    except Stop:
        return True
    return False


def same_results(out="out", clean="clean"):
    """Assert that two outputs hold the same bytes, rows and models."""
    assert written(out) == written(clean)
    one, two = open_run(out), open_run(clean)
    assert rows(one) == rows(two)
    assert one.models.keys() == two.models.keys()
    for name in two.models:
        same_model(one.models[name], two.models[name])
        assert one.models[name].starts == two.models[name].starts
    for name in ("inertia", "iterations", "residual"):
        assert getattr(one.record, name) == getattr(two.record, name)


def few_images(scope):
    """Leave one image, or two: for what is done again and again."""
    for name in "bcd" if scope == "image" else "cd":
        Path(f"in/{name}.npy").unlink()
    Path("groups.csv").write_text("path,group\nin/a.npy,x\nin/b.npy,y\n")


# -- iterations -----------------------------------------------------------------------------------

FITS_OF = {
    "an image's table": (TABLE, "image", {"restarts": 2, "max_iterations": 4}),
    "an image's pixels": (PIXELS, "image", {"init": {"means": MEANS}, "max_iterations": 6}),
    "a collection's table": (TABLE, "collection", {"init": "kmeans++", "restarts": 3, "k": 6}),
    "a collection's pixels": (PIXELS, "collection", {"restarts": 2, "max_iterations": 5}),
    "groups": (TABLE, "group", {"init": {"means": MEANS}}),
    "groups with emptied means": (
        PIXELS, "group", {"init": {"means": [[0.0], [1e6], [2e6], [3e6]]}, "max_iterations": 5},
    ),
}  # fmt: skip


def goes_on_after(which, numbers):
    """Stop a fit after its iterations of some `numbers`, of how many it has, and go on."""
    way, scope, kmeans = FITS_OF[which]
    few_images(scope)
    undisturbed = ran(way, out="clean", scope=scope, kmeans=kmeans).iterations
    assert len(undisturbed) > 5
    for number in numbers(len(undisturbed)):
        Store("out").delete("")
        assert stopped(Iterated, number, way, scope=scope, kmeans=kmeans)
        again = ran(way, scope=scope, kmeans=kmeans)

        assert again.iterations == undisturbed[number:]
        assert not again.collected or scope != "collection"
        same_results()
        assert not list(Path("out", FITS).rglob("*.json"))


@pytest.mark.parametrize("which", FITS_OF)
def test_a_fit_stopped_after_its_first_a_middle_or_its_last_iteration_goes_on_to_the_same_bits(
    folder, each_saved, which
):
    goes_on_after(which, lambda last: (1, last // 2, last))


@pytest.mark.slow
@pytest.mark.parametrize("which", FITS_OF)
def test_a_fit_stopped_after_any_iteration_goes_on_to_the_same_bits(folder, each_saved, which):
    goes_on_after(which, lambda last: range(1, last + 1))


@pytest.mark.parametrize("scope", ["image", "collection", "group"])
def test_a_fit_stopped_again_and_again_makes_each_iteration_once(folder, each_saved, scope):
    kmeans = {"restarts": 2, "max_iterations": 3}
    few_images(scope)
    undisturbed = ran(out="clean", scope=scope, kmeans=kmeans).iterations
    made = []
    for _ in undisturbed:
        watch = Watch(Iterated, 1)
        with pytest.raises(Stop):
            ran(watch=watch, scope=scope, kmeans=kmeans)
        made += watch.iterations
    ran(scope=scope, kmeans=kmeans)
    assert made == undisturbed
    same_results()


def test_a_fit_that_ended_is_not_made_again_to_label_the_rest(folder, each_saved):
    kmeans = {"restarts": 3}
    ran(out="clean", scope="collection", kmeans=kmeans)
    last = lambda event: getattr(event, "image", "") == "c"  # noqa: E731
    assert killed_by(config(scope="collection", kmeans=kmeans), TABLE, last)
    again = ran(scope="collection", kmeans=kmeans)
    assert not again.iterations
    same_results()


@pytest.mark.parametrize(
    "changed", [{"k": 5}, {"seed": 1}, {"restarts": 4}, {"threshold": 0.5}, {"max_iterations": 7}]
)
def test_a_fit_of_other_settings_begins_anew(folder, each_saved, changed):
    kmeans = {"restarts": 2}
    assert stopped(Iterated, 3, scope="collection", kmeans=kmeans)
    again = ran(overwrite=True, scope="collection", kmeans={**kmeans, **changed})
    clean = ran(out="clean", scope="collection", kmeans={**kmeans, **changed})
    assert again.iterations == clean.iterations
    same_results()


def test_a_fit_of_other_images_begins_anew(folder, each_saved):
    kmeans = {"restarts": 2}
    assert stopped(Iterated, 3, scope="collection", kmeans=kmeans)
    np.save("in/b.npy", picture("uint8", 1, (9, 9), seed=7))
    again = ran(scope="collection", kmeans=kmeans)
    clean = ran(out="clean", scope="collection", kmeans=kmeans)
    assert again.iterations == clean.iterations
    same_results()


@pytest.mark.parametrize("scope", ["image", "collection"])
def test_another_version_of_the_algorithm_takes_nothing_over(
    folder, each_saved, monkeypatch, scope
):
    assert stopped(Iterated, 3, scope=scope)
    monkeypatch.setattr(versions, "ALGORITHM_VERSION", versions.ALGORITHM_VERSION + 1)
    clean = ran(out="clean", scope=scope)
    again = ran(overwrite=True, scope=scope)
    assert again.iterations == clean.iterations
    assert again.collected == {"a", "b", "c", "d"}
    same_results()


def test_a_damaged_file_of_a_fit_is_as_good_as_none(folder, each_saved):
    clean = ran(out="clean", scope="collection")
    for at in (5, 80, 300, -20):
        Store("out").delete("")
        assert stopped(Iterated, 3, scope="collection")
        path = Path("out", FITS, "collection.json")
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)
        again = ran(scope="collection")
        assert again.iterations in (clean.iterations, clean.iterations[3:])
        if again.iterations == clean.iterations and at > 100:
            assert "is damaged" in again.notes
        same_results()


# -- pixels that were collected -------------------------------------------------------------------


@pytest.mark.parametrize("way", [TABLE, PIXELS], ids=["table", "sketch"])
@pytest.mark.parametrize("scope", ["image", "collection"])
def test_what_was_collected_before_a_stop_is_not_collected_again(folder, each_task, scope, way):
    kmeans = {"max_iterations": 3, "init": {"means": MEANS}}
    clean = ran(way, out="clean", scope=scope, kmeans=kmeans)
    parts = [event for event in clean.events if getattr(event, "phase", "") == "read"]
    for number in (1, len(parts) // 2, len(parts) - 1):
        Store("out").delete("")
        watch = Watch()
        write_samples, written_parts = saved_samples.write_samples, []

        def writes(*args, plain=write_samples, done=written_parts, number=number):
            if len(done) == number:
                raise Stop
            done.append(plain(*args))
            return done[-1]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(saved_samples, "write_samples", writes)
            try:
                ran(way, watch, scope=scope, kmeans=kmeans)
            except Stop:
                assert len(written_parts) == number
        again = ran(way, scope=scope, kmeans=kmeans)

        first = [box for box in watch.decoded if box[0] == "read"]
        second = [box for box in again.decoded if box[0] == "read"]
        unsaved = [box for box in first if box in second]
        assert len(unsaved) <= 1, "what was saved is read again"
        read = {box for box in clean.decoded if box[0] == "read"}
        assert {*first, *second} == read
        same_results()


@pytest.mark.parametrize("scope", ["image", "collection", "group"])
def test_other_starts_read_nothing_to_collect_it_again(folder, scope):
    few_images("collection")
    ran(scope=scope)
    for kmeans in ({"k": 2}, {"init": "kmeans++"}, {"seed": 5, "restarts": 2}, {"threshold": 3.0}):
        Store("clean").delete("")
        again = ran(overwrite=True, scope=scope, kmeans=kmeans)
        clean = ran(out="clean", scope=scope, kmeans=kmeans)
        assert again.collected == set()
        assert clean.collected == {"a", "b"}
        assert "pixels were collected by a previous run" in again.notes
        same_results()


@pytest.mark.parametrize("features", [{"scale": "standard"}, {"scale": "range"}])
@pytest.mark.parametrize("way", [TABLE, PIXELS], ids=["table", "sketch"])
def test_another_scale_reads_nothing_to_collect_it_again(folder, way, features):
    ran(way, scope="collection", kmeans={"init": {"means": MEANS}})
    asked = {"kmeans": {"init": {"means": MEANS}}, "features": features}
    again = ran(way, overwrite=True, scope="collection", **asked)
    ran(way, out="clean", scope="collection", **asked)
    assert again.collected == set()
    same_results()


def test_another_choice_of_pixels_is_collected_anew(folder):
    ran(scope="collection")
    changed = config(scope="collection").model_dump(by_alias=True)
    changed["images"]["nodata"] = 0
    watch = Watch()
    with TABLE.taken(), watch.decoding():
        run(make_config(**changed), watch=watch, overwrite=True)
    assert watch.collected == {"a", "b", "c", "d"}


def test_a_folder_that_grew_is_collected_as_far_as_it_is_new(folder):
    ran(scope="collection")
    np.save("in/e.npy", picture("uint8", 1, (30, 11), seed=8))
    np.save("in/A.npy", picture("uint8", 1, (5, 40), seed=9))
    again = ran(scope="collection")
    assert again.collected == {"e", "A"}
    Store("out").delete("images/a.ome.zarr")  # of before there was another A
    clean = ran(out="clean", scope="collection")
    assert clean.collected == {"a", "b", "c", "d", "e", "A"}
    same_results()
    assert not ran(scope="collection").decoded


def test_a_folder_that_grew_again_and_again_has_few_parts(folder, monkeypatch):
    few_images("collection")
    monkeypatch.setattr(saved.SavedSamples.__init__, "__defaults__", (2,))
    for i in range(6):
        np.save(f"in/x{i}.npy", picture("uint8", 1, (7 + i, 8), seed=i))
        again = ran(scope="collection", kmeans={"max_iterations": 2})
        assert again.collected == ({f"x{i}"} if i else {"a", "b", "x0"})
        assert len(list(Path("out", SAMPLES, "collection").glob("*/zarr.json"))) <= 2
    ran(out="clean", scope="collection", kmeans={"max_iterations": 2})
    same_results()


def test_a_folder_whose_pixels_hardly_repeat_says_that_all_are_read_again(folder):
    kmeans = {"init": {"means": MEANS}}
    ran(PIXELS, scope="collection", kmeans=kmeans)
    np.save("in/e.npy", picture("uint8", 1, (30, 11), seed=8))
    again = ran(PIXELS, scope="collection", kmeans=kmeans)
    assert again.collected == {"e"}
    assert "every iteration reads all of them" in again.notes
    ran(PIXELS, out="clean", scope="collection", kmeans=kmeans)
    same_results()


def test_what_was_counted_is_no_longer_said_to_be_read_again(folder):
    ran(scope="collection")
    np.save("in/e.npy", picture("uint8", 1, (30, 11), seed=8))
    assert "hardly repeat" not in ran(scope="collection").notes


@pytest.mark.parametrize("what", ["changed", "removed", "broken", "renamed"])
def test_a_part_of_an_image_that_is_not_as_it_was_is_collected_anew(
    folder, each_task, monkeypatch, what
):
    tuned(monkeypatch, tasks_per_thread=2)
    way = Way(small=0, chunk=10**9)  # an image is a task, two are a part
    ran(way, scope="collection")
    assert len(list(Path("out", SAMPLES, "collection").glob("*/zarr.json"))) == 2
    {
        "changed": lambda: np.save("in/b.npy", picture("uint8", 1, (9, 9), seed=7)),
        "removed": lambda: Path("in/b.npy").unlink(),
        "broken": lambda: Path("in/b.npy").write_bytes(b"\x93NUMPY and nothing more"),
        "renamed": lambda: Path("in/b.npy").rename("in/bb.npy"),
    }[what]()
    again = ran(way, scope="collection")
    there = {"changed": {"b"}, "renamed": {"bb"}}.get(what, set())
    assert again.collected == {"a"} | there
    Store("clean").delete("")
    ran(way, out="clean", scope="collection")
    Store("out").delete("images/b.ome.zarr")  # of an image that is not named any more
    Store("clean").delete("images/b.ome.zarr")
    same_results()


def test_an_image_that_breaks_while_it_is_read_spoils_its_own_batch_only(
    folder, each_task, monkeypatch
):
    decode = NpyImage.decode

    def broken(self, box, channels):
        if "b.npy" in self.path and box.start[0] >= 8:
            raise ValueError("a broken tile")
        return decode(self, box, channels)

    monkeypatch.setattr(NpyImage, "decode", broken)
    watch = ran(scope="collection")
    read = [(name, box) for phase, name, box in watch.decoded if phase == "read"]
    assert {name for name, box in read if read.count((name, box)) > 1} <= {"b"}
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    Path("in/b.npy").unlink()
    ran(out="clean", scope="collection")
    same = open_run("clean").model
    same_model(open_run("out").model, same)


@pytest.mark.parametrize("scope", ["image", "collection"])
def test_pixels_of_a_file_that_changed_while_it_was_read_are_not_kept_as_its_own(
    folder, each_task, monkeypatch, scope
):
    kmeans = {"init": {"means": MEANS}}
    ran(out="clean", scope=scope, kmeans=kmeans)
    file, decode = Path("in/b.npy"), NpyImage.decode
    as_it_was, when = file.read_bytes(), file.stat()

    def changing(self, box, channels):
        if "b.npy" in self.path and file.read_bytes() == as_it_was:
            np.save(file, 255 - np.load(file))
        return decode(self, box, channels)

    monkeypatch.setattr(NpyImage, "decode", changing)
    ran(scope=scope, kmeans=kmeans)
    monkeypatch.setattr(NpyImage, "decode", decode)
    assert file.read_bytes() != as_it_was
    file.write_bytes(as_it_was)
    os.utime(file, ns=(when.st_atime_ns, when.st_mtime_ns))
    with TABLE.taken():
        run(config(scope=scope, kmeans=kmeans), retry_failed=True)
    same_results()


def test_an_image_that_is_listed_twice_counts_twice(folder):
    text = "path,id\nin/a.npy,one\nin/b.npy,other\n"
    Path("groups.csv").write_text(text)
    listed = {"images": {"path": "groups.csv", "axes": "yxc"}}

    def twice(out):
        watch = Watch()
        sections = config(out, "collection").model_dump(by_alias=True, exclude={"images"})
        with TABLE.taken(), watch.decoding():
            run(make_config(**listed, **sections), watch=watch)
        return watch

    twice("out")
    Path("groups.csv").write_text(text + "in/a.npy,again\n")
    assert twice("out").collected == {"a"}
    twice("clean")
    same_results()
    assert open_run("out").model.counts.sum() == 2 * 20 * 24 + 21 * 24


def test_chunks_that_are_cut_otherwise_find_what_was_collected(folder, each_task):
    """Memory decides how a huge image is cut, and there may be another amount of it."""
    kmeans = {"init": {"means": MEANS}}
    write_samples, done = saved_samples.write_samples, []

    def writes(*args):
        if len(done) == 7:
            raise Stop
        done.append(write_samples(*args))
        return done[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saved_samples, "write_samples", writes)
        with pytest.raises(Stop):
            ran(scope="collection", kmeans=kmeans)
    ran(Way(small=0, chunk=512, bundle=700), scope="collection", kmeans=kmeans)
    ran(out="clean", scope="collection", kmeans=kmeans)
    same_results()


# -- damage, and what is kept ---------------------------------------------------------------------


def damage(path, how):
    if how == "gone":
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 16
        path.write_bytes(data[: len(data) // 2] if how == "cut" else data)


@pytest.mark.parametrize("how", ["gone", "cut", "flipped"])
def test_damaged_samples_are_as_good_as_none(folder, how):
    few_images("collection")
    kmeans = {"k": 3, "init": "kmeans++"}
    ran(out="clean", scope="collection", kmeans=kmeans)
    ran(scope="collection")
    kept = {p: p.read_bytes() for p in sorted(Path("out", SAMPLES).rglob("*")) if p.is_file()}
    assert len(kept) == 7
    for path in kept:
        Store("out").delete(SAMPLES)
        for name, data in kept.items():
            name.parent.mkdir(parents=True, exist_ok=True)
            name.write_bytes(data)
        damage(path, how)
        again = ran(overwrite=True, scope="collection", kmeans=kmeans)
        same_results()
        if again.collected:
            assert again.collected == {"a", "b"}
            gone = path.name == "zarr.json" and how == "gone"
            assert gone or "its pixels are read again" in again.notes
        else:
            # attributes of a folder above it, or what zarr does not need of its own metadata
            assert path.name == "zarr.json"


def test_samples_can_be_deleted(folder):
    ran(scope="collection")
    before = written("out")
    Store("out").delete(SAMPLES)
    assert not ran(scope="collection").decoded
    assert written("out") == before


def test_samples_are_not_kept_unless_wanted(folder, each_saved):
    asked = {"results": {"samples": False}}
    ran(scope="collection", **asked)
    assert not list(Path("out", SAMPLES).rglob("counts"))
    Store("out").delete("")
    assert stopped(Iterated, 2, scope="collection", **asked)
    again = ran(scope="collection", **asked)
    assert again.collected == set()
    assert not list(Path("out", SAMPLES).rglob("counts"))
    ran(scope="collection")  # it is no setting that results depend on
    ran(out="clean", scope="collection")
    same_results()


@pytest.mark.parametrize(("scope", "parts"), [("image", 4), ("collection", 1), ("group", 2)])
def test_a_huge_image_has_one_part_and_what_is_not_named_any_more_has_none(
    folder, each_task, scope, parts
):
    ran(scope=scope)
    found = list(Path("out", SAMPLES).rglob("counts/zarr.json"))
    assert len(found) == (parts if scope == "image" else len(found)) > 0
    for name in "bcd":
        Path(f"in/{name}.npy").unlink()
    Path("groups.csv").write_text("path,group\nin/a.npy,x\n")
    ran(scope=scope)
    subjects = {p.relative_to(Path("out", SAMPLES)).parts[:-3] for p in found}
    left = list(Path("out", SAMPLES).rglob("counts/zarr.json"))
    left = {p.relative_to(Path("out", SAMPLES)).parts[:-3] for p in left}
    assert len(left) == 1
    assert left <= subjects


def test_small_images_leave_neither_samples_nor_fits(folder):
    ran(Way())
    assert not Path("out", SAMPLES).exists()
    assert not Path("out", FITS).exists()


# -- kills ----------------------------------------------------------------------------------------


def drive(calls, out):
    """Make a long fit in this process; send a word as each iteration begins."""
    sums = TableSource.sums

    def slow(self, means):
        calls.send("iterates")
        time.sleep(0.03)
        return sums(self, means)

    with pytest.MonkeyPatch.context() as patch:
        tuned(patch, tasks_per_thread=2, small_pixels=0, small_and_few_pixels=0)
        tuned(patch, chunk_pixels=2**10, bundle_pixels=2**10)
        patch.setattr(saved, "SECONDS_BETWEEN_FITS", 0.0)
        patch.setattr(TableSource, "sums", slow)
        run(
            make_config(
                images={"path": "in", "axes": "yxc"},
                kmeans={"k": 8, "scope": "collection", "restarts": 4, "init": "kmeans++"},
                results={"path": out, "chunk": 32, "shard": "none", "pyramid": "none"},
                cluster="serial",
            )
        )


def driver(moment=None, delay=0.0, out="out"):
    """Run a driver, a copy of this process; kill it some time after an iteration began, from 0.

    Returns how many it began.
    """
    ours, theirs = COPIES.Pipe(duplex=False)
    process = COPIES.Process(target=drive, args=(theirs, out))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks: nothing is shared here
        process.start()
    theirs.close()
    begun = 0
    with suppress(EOFError):
        while ours.recv():
            begun += 1
            if begun - 1 == moment:
                time.sleep(delay)
                process.kill()
    process.join()
    assert process.exitcode == (0 if moment is None else -signal.SIGKILL)
    return begun


def killed_drivers(kills, seed, iterations):
    """Kill that many drivers at random moments of a fit of so many iterations, then end it."""
    chance = random.Random(seed)
    for _ in range(kills):  # all together they come no further than to the last part
        driver(chance.randrange(iterations // (kills + 1)), chance.uniform(0.0, 0.03))
    driver()


def long_fit(folder):
    """Make a long fit in ``clean``, and return how many iterations it has."""
    for i in range(6):
        np.save(f"in/x{i}.npy", picture("uint8", 1, (60, 50 + i), seed=10 + i))
    return driver(out="clean")


def test_a_driver_killed_at_a_few_random_moments_of_a_long_fit_ends_with_the_same_bytes(folder):
    killed_drivers(2, 3, long_fit(folder))
    same_results()


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_driver_killed_at_fifty_random_moments_of_a_long_fit_ends_with_the_same_bytes(folder):
    iterations = long_fit(folder)
    for seed in range(10):
        Store("out").delete("")
        killed_drivers(6, seed, iterations)
        same_results()
