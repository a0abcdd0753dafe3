"""How often is saved, what is read together, and what is swept."""

from pathlib import Path

import numpy as np
import pytest
from chunkmeans.engines.serial import SerialEngine
from chunkmeans.events import ignore
from chunkmeans.features.scale import ChannelScale
from chunkmeans.kmeans.fit import FitSettings
from chunkmeans.kmeans.progress import Progress
from chunkmeans.results.models.fits import fit_path, write_fit
from chunkmeans.results.models.samples import find_samples, write_samples
from chunkmeans.results.store import pace
from chunkmeans.results.store.store import SAMPLES, Store
from chunkmeans.steps.plan.memory import bundled, cut
from chunkmeans.steps.resume import saved as module
from chunkmeans.steps.resume.saved import Saved, SavedFit, subject_of, subject_of_image, sweep
from chunkmeans.steps.resume.saved_samples import LEAST_SHARE, SavedSamples
from chunkmeans.steps.segment.collect import collect
from chunkmeans.steps.segment.scan import Scan
from chunkmeans.steps.tuning import DEFAULT

from tests.kmeans.examples import collect as collected_of
from tests.kmeans.examples import column
from tests.steps.examples import source
from tests.support.ways import tuned
from tests.test_exactness import picture


class Clock:
    """Time that passes when it is told to; a save takes `cost` seconds."""

    def __init__(self, patch, cost):
        self.now, self.cost, self.saves = 0.0, cost, []
        patch.setattr(pace, "monotonic", lambda: self.now)
        patch.setattr(module, "write_fit", self.save)

    def save(self, *_):
        self.saves.append(self.now)
        self.now += self.cost


@pytest.mark.parametrize("cost", [0.001, 0.03, 0.5, 4.0])
@pytest.mark.parametrize("iteration", [0.001, 0.3, 2.0, 100.0])
def test_saving_takes_a_twentieth_of_the_time_and_loses_little(monkeypatch, cost, iteration):
    clock = Clock(monkeypatch, cost)
    saved = SavedFit(Store("nowhere"), "collection", "mark", ignore)
    iterations = 3000
    for _ in range(iterations):
        clock.now += iteration
        saved.keep(Progress())
    spent = cost * len(clock.saves)
    assert spent <= iterations * iteration / 20 + cost or cost < iteration / 20
    between = np.diff([0.0, *clock.saves])
    assert between.max(initial=0) <= max(1.0, 20 * cost) + cost + iteration
    if iteration >= max(1.0, 20 * cost):
        assert len(clock.saves) == iterations, "a long iteration is saved each time"


def test_a_fit_of_a_moment_is_not_saved(tmp_path):
    store = Store(str(tmp_path))
    SavedFit(store, "collection", "mark", ignore).keep(Progress())
    assert not store.exists(fit_path("collection"))


def chunks(shape, edge):
    """Chunks of an image, a bundle each."""
    image = source(picture("uint8", 1, shape))
    return [(chunk,) for chunk in cut(image, (edge, edge), 0, "array")]


def test_a_batch_keeps_threads_busy_and_grows_with_what_was_read():
    bundles = chunks((400, 400), 10)
    samples = SavedSamples(Store("nowhere"), "collection", ignore)
    samples._sources = {}
    batches = list(samples.batches(bundles, threads=2))
    assert [bundle for batch in batches for bundle in batch] == bundles
    sizes = [len(batch) for batch in batches]
    assert min(sizes) >= 2 * DEFAULT.tasks_per_thread
    before = np.cumsum([0, *sizes[:-1]])
    grown = zip(sizes[:-1], before[:-1], strict=True)  # the last takes what is left
    assert all(size >= n // LEAST_SHARE for size, n in grown)
    assert sizes[0] == 2 * DEFAULT.tasks_per_thread < sizes[-2]
    assert len(list(samples.batches(bundles, threads=64))) == 1
    assert list(samples.batches([], threads=2)) == []


def test_another_fit_has_another_name(tmp_path):
    def name(settings, image, version=""):
        saved = Saved(Store(str(tmp_path / "out")), "collection", ignore)
        saved.recall([image])
        return saved.fit(settings).name

    image = source(picture("uint8", 1, (9, 9)))
    usual = FitSettings(3, seed=1)
    other = [
        FitSettings(4, seed=1),
        FitSettings(3, seed=2),
        FitSettings(3, seed=1, init="kmeans++"),
        FitSettings(3, seed=1, init=np.array([[0.0]])),
        FitSettings(3, seed=1, init=np.array([[np.nextafter(0.0, 1.0)]])),
        FitSettings(3, seed=1, restarts=2),
        FitSettings(3, seed=1, threshold=0.1),
        FitSettings(3, seed=1, max_iterations=7),
        FitSettings(3, seed=1, empty="keep"),
        FitSettings(3, seed=1, scale=ChannelScale("range")),
    ]
    names = [name(settings, image) for settings in (usual, *other)]
    names.append(name(usual, source(picture("uint8", 1, (9, 8)))))
    names.append(name(usual, source(picture("uint8", 1, (9, 9)), nodata=(0,))))
    assert len(set(names)) == len(names)
    assert name(FitSettings(3, seed=1), image) == names[0]


def test_what_nobody_names_any_more_is_swept(tmp_path):
    store, table = Store(str(tmp_path)), collected_of(column(1, 2))
    subjects = [subject_of(None), subject_of("x/y"), subject_of_image("a"), subject_of_image("b")]
    for subject in subjects:
        write_samples(store, subject, {"mark": None}, table)
        write_fit(store, subject, "mark", Progress())
    Path(tmp_path, "fits", "images", "left.12.partial").touch()
    Path(tmp_path, "fits", "notes.txt").touch()
    sweep(store, subjects[1:3])
    for subject in subjects:
        kept = subject in subjects[1:3]
        assert bool(find_samples(store, subject)[0]) == kept
        assert store.exists(fit_path(subject)) == kept
    assert not list(Path(tmp_path).rglob("*.partial"))
    assert Path(tmp_path, "fits", "notes.txt").exists()


def test_where_nothing_was_saved_there_is_nothing_to_sweep(tmp_path):
    def subjects():
        raise AssertionError("a million names are not made for nothing")
        yield

    sweep(Store(str(tmp_path / "none")), subjects())


@pytest.mark.parametrize("edge", [3, 8, 100])
def test_a_table_from_parts_is_the_table(tmp_path, monkeypatch, edge):
    tuned(monkeypatch, tasks_per_thread=1)
    image, store = source(picture("uint16", 1, (19, 14), levels=25)), Store(str(tmp_path))
    engine = SerialEngine()
    bundles = bundled(list(cut(image, (edge, edge), 0, "array")), engine.size)
    scan = Scan(engine, "array", bundles)
    whole = collect(scan)
    for _ in range(2):
        samples = SavedSamples(store, "images/x", ignore, most=1)
        found = collect(scan, samples)
        assert np.array_equal(found.samples().values, whole.samples().values)
        assert np.array_equal(found.samples().counts, whole.samples().counts)
        assert len(find_samples(store, "images/x")[0]) == 1
    assert samples.recalled == 19 * 14


def test_a_part_that_is_damaged_when_parts_become_one_costs_nothing(tmp_path):
    image, store = source(picture("uint8", 1, (20, 20))), Store(str(tmp_path))
    samples = SavedSamples(store, "collection", ignore, most=2)
    samples.recall([image])
    bundles = [(chunk,) for chunk in cut(image, (10, 10), 0, "array")]
    for i, bundle in enumerate(bundles):
        samples.add([bundle], collected_of(np.full((100, 1), i, np.uint8)))
    for file in Path(tmp_path, SAMPLES, "collection").glob("*/counts/c/*"):
        file.write_bytes(b"")
    samples.settle()
    (one,), damaged = find_samples(store, "collection")
    assert not damaged
    assert one.covers == {samples.marks[0]: None}
    assert one.pixels == 400
