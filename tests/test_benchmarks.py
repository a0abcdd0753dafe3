"""The benchmark's bodies, once each on tiny inputs, so that they cannot rot."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import zarr
from chunkmeans.image.info import ImageInfo
from chunkmeans.results.write.layout import plan_labels

from tests.benchmarks import cluster, measure, report
from tests.benchmarks.__main__ import arguments, main, task_of
from tests.benchmarks.agreement import apart, compare
from tests.benchmarks.cases import CASES, Target
from tests.benchmarks.contenders import CONTENDERS
from tests.benchmarks.contenders.layout import levels
from tests.benchmarks.contenders.task import Stats
from tests.benchmarks.contenders.tiles import Tiles
from tests.benchmarks.inputs import CHANNELS, DTYPES, make, shape_of, start_means
from tests.benchmarks.jpegs import make_folder, window
from tests.benchmarks.measure import Measured
from tests.benchmarks.rounds import ROOT, Round, Score

SIZE = 0.25
"""Megapixels."""

pytestmark = pytest.mark.bench


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.mark.parametrize("kind", CHANNELS)
def test_an_input_has_the_promised_pixels_and_is_made_once(kind, data):
    made = make(kind, SIZE, data)
    pixels = tifffile.imread(made.path)
    samples = () if CHANNELS[kind] == 1 else (CHANNELS[kind],)
    assert pixels.shape == (*shape_of(kind, SIZE), *samples)
    assert pixels.dtype == np.dtype(DTYPES[kind])
    assert pixels.std() > 0
    before = made.path.stat().st_mtime_ns
    assert make(kind, SIZE, data) == made
    assert made.path.stat().st_mtime_ns == before


def test_the_same_input_is_made_again(data, tmp_path):
    first, second = (make("multi16", SIZE, folder).path for folder in (data, tmp_path))
    assert np.array_equal(tifffile.imread(first), tifffile.imread(second))


def test_sixteen_bit_vectors_hardly_repeat_and_colours_do(data):
    def distinct(kind):
        made = make(kind, SIZE, data)
        pixels = tifffile.imread(made.path).reshape(made.pixels, -1)
        return len(np.unique(pixels, axis=0)) / made.pixels

    assert distinct("multi16") > 0.95
    assert distinct("rgb8") < 0.7


@pytest.mark.parametrize("kind", ["rgb8", "grey16"])
def test_tiles_are_the_image(kind, data):
    made = make(kind, SIZE, data)
    whole = tifffile.imread(made.path).reshape(*made.shape, made.channels)
    with Tiles(str(made.path)) as tiles:
        for page, index in tiles.all():
            row, column = divmod(index, tiles.across)
            plane = whole[page] if len(made.shape) == 3 else whole
            y, x = row * tiles.edge[0], column * tiles.edge[1]
            expected = plane[y : y + tiles.edge[0], x : x + tiles.edge[1]]
            assert np.array_equal(tiles.decode((page, index)), expected)


@pytest.mark.parametrize("megapixels", [0.25, 1, 16, 67, 268])
@pytest.mark.parametrize("kind", ["rgb8", "grey16"])
def test_the_labels_of_peers_are_laid_out_as_ours(kind, megapixels):
    shape = shape_of(kind, megapixels)
    deep = len(shape) == 3
    chunk, shard = (64, 256) if deep else (512, 2048)
    axes = "zyx" if deep else "yx"
    info = ImageInfo(shape=shape, axes=axes, channels=1, dtype=np.dtype("u1"), chunks=shape)
    ours = plan_labels(info, 8, chunk=chunk, shard=shard)
    assert [(n.shape, n.chunk, n.shard, n.with_block) for n in levels(shape, chunk, shard)] == [
        (n.shape, n.chunk, n.unit, n.with_block) for n in ours.levels
    ]


@pytest.mark.parametrize("name", CONTENDERS)
def test_a_contender_does_its_task(name, data):
    contender = CONTENDERS[name]
    if missing := contender.missing():
        pytest.skip(f"{', '.join(missing)} is not installed")
    case, image = CASES["rgb8"], make("rgb8", SIZE, data)
    output = data / f"out-{name}"
    options = arguments(["--case", "rgb8", "--iterations", "3", "--cluster", "serial"])
    task = replace(task_of(case, image, options), output=str(output))
    measured = measure.run(contender.command(task), ROOT, data / f"{name}.log")
    assert 0 < measured.largest <= measured.peak
    assert measured.cpu > 0
    stats = contender.stats(task)
    if contender.labels is None:
        assert stats.read_seconds > 0
        return
    labels = zarr.open_array(str(contender.labels(task)), mode="r")
    assert labels.shape == image.shape
    assert labels.dtype == np.uint8
    assert stats.iterations == 3
    assert np.array(stats.means).shape == (8, 3)
    expected = _brute_force(tifffile.imread(image.path).reshape(-1, 3), task.means, 3)
    allowed = 1e-9 if name.startswith("ours") else 0.5  # peers calculate in float32
    assert np.allclose(sorted(stats.means), sorted(expected.tolist()), rtol=0, atol=allowed)


def _brute_force(pixels, means, iterations):
    pixels, means = pixels.astype(float), np.array(means)
    for _ in range(iterations):
        nearest = ((pixels[:, None] - means) ** 2).sum(2).argmin(1)
        means = np.array([pixels[nearest == i].mean(0) for i in range(len(means))])
    return means


def test_the_floor_writes_every_level_that_ours_writes(data):
    image = make("grey16", SIZE, data)
    stores = {}
    for name in ("ours", "floor"):
        options = arguments(["--case", "grey16", "--iterations", "2", "--cluster", "serial"])
        task = replace(
            task_of(CASES["grey16"], image, options), output=str(data / f"levels-{name}")
        )
        measure.run(CONTENDERS[name].command(task), ROOT, data / "log")
        root = CONTENDERS["ours"].labels(task).parent if name == "ours" else task.labels.parent
        stores[name] = [
            (array.shape, array.chunks, array.shards, [str(c) for c in array.compressors])
            for n in range(len(levels(image.shape, 64, 256)))
            for array in [zarr.open_array(str(root / str(n)), mode="r")]
        ]
    assert stores["floor"] == stores["ours"]


def test_a_case_is_measured_printed_and_kept(data, tmp_path, capsys):
    kept = tmp_path / "kept" / "one.json"
    command = f"--case rgb8 --megapixels {SIZE} --peers floor --runs 2 --iterations 2"
    main([*command.split(), "--cluster", "serial", "--data", str(data), "--json", str(kept)])
    printed = capsys.readouterr().out
    assert "target: ours takes, of the time of floor" in printed
    assert "target: ours is faster than sklearn by not measured" in printed
    document = json.loads(kept.read_text())
    assert [len(c["rounds"]) for c in document["contenders"].values()] == [2, 2]
    assert str(data) not in kept.read_text()
    assert not list(data.glob("runs-*"))


@pytest.fixture
def seen(tmp_path, monkeypatch):
    """A file that is there once as much memory was seen; what is measured waits for it."""
    file, look = tmp_path / "seen", measure._Look._look

    def noted(self, tree):
        look(self, tree)
        if self.peak > 96 * 2**20 and self.processes > 1:
            file.touch()

    monkeypatch.setattr(measure._Look, "_look", noted)
    return file


CHILD = """
import os, time
held = bytearray(b"1") * (96 * 2**20)
while not os.path.exists({!r}):
    time.sleep(0.01)
"""


def test_memory_is_that_of_the_whole_tree(tmp_path, seen):
    child = CHILD.format(str(seen))
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    measured = measure.run([sys.executable, "-c", parent], tmp_path, tmp_path / "log")
    assert measured.processes == 2
    assert measured.peak > 96 * 2**20
    assert measured.wall > 0


def test_the_memory_of_the_one_who_measures_does_not_count(tmp_path):
    held = bytearray(200 * 2**20)
    held[::4096] = b"1" * len(held[::4096])
    measured = measure.run(
        [sys.executable, "-c", "import time; time.sleep(0.3)"], tmp_path, tmp_path / "log"
    )
    assert measured.peak < 100 * 2**20


def test_a_failure_shows_what_the_process_said(tmp_path):
    command = [sys.executable, "-c", "raise SystemExit('out of luck')"]
    with pytest.raises(RuntimeError, match="out of luck"):
        measure.run(command, tmp_path, tmp_path / "log")


def test_labels_are_compared_up_to_their_numbers(tmp_path):
    first = np.array([[1, 1, 2, 3], [1, 1, 2, 0]], np.uint8)
    second = np.array([[3, 3, 1, 2], [3, 1, 1, 2]], np.uint8)
    for name, labels in (("a", first), ("b", second)):
        zarr.save_array(str(tmp_path / name), labels)
    agreement = compare(tmp_path / "a", tmp_path / "b", 3)
    assert (agreement.same, agreement.pixels) == (6, 8)
    assert agreement.pairs == (3, 1, 2)
    assert apart([[1.0], [2.0], [3.0]], [[2.0], [3.0], [1.5]], agreement.pairs) == 0.5


@pytest.mark.parametrize(
    ("target", "number"),
    [
        (Target("speedup", "sklearn", 10, 15), 4.0),
        (Target("slowdown", "sklearn", 2, 1.4), 0.25),
        (Target("iteration_speedup", "sklearn", 1, 3), 5.0),
        (Target("iteration_over_read", "sklearn", 1.3, 1.05), 0.05),
        (Target("speedup", "dask-ml", 22, 35), None),
    ],
)
def test_a_target_is_a_ratio_of_medians(target, number):
    def score(name, walls, iteration, read):
        stats = Stats(iterations=20, iteration_seconds=iteration, read_seconds=read)
        rounds = tuple(Round(Measured(w, w, 2**20, 2**20, 1), stats) for w in walls)
        return Score(name, rounds)

    scores = [score("ours", (1, 2, 9), 0.1, 1.0), score("sklearn", (8, 7, 9), 0.5, 2.0)]
    found = report.measured(target, scores)
    assert found is None if number is None else found == pytest.approx(number)


def test_means_to_start_from_are_distinct_pixels_of_the_image(data):
    image = make("rgb8", SIZE, data)
    means = start_means(image, 40)
    pixels = {tuple(p) for p in tifffile.imread(image.path).reshape(-1, 3).tolist()}
    assert len({tuple(m) for m in means} & pixels) == 40


def test_peers_and_floor_import_nothing_of_the_project():
    for module in ("scikit", "floor", "read", "loop"):
        code = (
            f"import sys, tests.benchmarks.contenders.{module}; "
            "sys.exit(any(m.split('.')[0] == 'chunkmeans' for m in sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
        assert done.returncode == 0


def test_every_peer_of_a_case_and_every_target_is_a_contender():
    for case in CASES.values():
        assert set(case.peers) <= set(CONTENDERS)
        assert {t.against for t in case.targets} <= {"ours", *case.peers}


def test_a_folder_is_raced_over_and_its_memory_told(tmp_path, capsys):
    kept = tmp_path / "one.json"
    common = ["--case", "folder", "--data", str(tmp_path), "--json", str(kept)]
    main([*common, "--images", "3", "--runs", "1", "--cluster", "serial"])
    printed = capsys.readouterr().out
    assert "target: ours is faster than loop by" in printed
    document = json.loads(kept.read_text())
    assert set(document["contenders"]) == {"ours", "loop", "loop-to-rest"}
    assert [target["against"] for target in document["targets"]] == ["loop"]
    assert str(tmp_path) not in kept.read_text()
    assert not list(tmp_path.glob("runs-*"))
    main([*common, "--grow", "2,5"])
    assert "worker: " in capsys.readouterr().out
    memory = json.loads(kept.read_text())["memory"]
    assert [line["images"] for line in memory] == [2, 5]
    assert all(line["first"] > 0 and line["other"] > 0 for line in memory)


def test_the_images_of_a_folder_are_real_pictures_and_the_same_again(tmp_path):
    folder = make_folder(4, tmp_path)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert len(set(before.values())) == 4
    (folder / "000002.jpg").unlink()
    assert make_folder(4, tmp_path) == folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert window(0).shape == (321, 481, 3)
    assert len(np.unique(window(1).reshape(-1, 3), axis=0)) > 5000


def test_driver_and_workers_are_told_apart(tmp_path, seen):
    child = CHILD.format(str(seen))
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    measured = measure.run([sys.executable, "-c", parent], tmp_path, tmp_path / "log")
    assert measured.other > 96 * 2**20 > measured.first > 2**20


@pytest.mark.slow
@pytest.mark.cluster
def test_a_cluster_is_measured_and_told_in_a_row():
    found = cluster.figures_of(workers=2, chunks=12, kills=1)
    assert min(found.wall, found.alone, found.scheduler, found.driver, found.worker) > 0
    assert len(found.lost) == 1
    moved = (found.sent, found.received, found.to_workers, found.from_workers, found.between)
    assert all(number is None or number > 0 for number in moved)
    head, row = "\n".join(cluster.lines([found])).splitlines()[::2]
    assert row.startswith("| 2 | ")
    assert row.count("|") == head.count("|")
    assert json.loads(json.dumps(cluster.document([found])))["figures"][0]["chunks"] == 12
