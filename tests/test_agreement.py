"""The same bits however the work is cut, wherever it is done, and in whatever order."""

import logging
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import dask
import numpy as np
import pytest
from chunkmeans import make_config, open_run, run, segment
from chunkmeans.engines.base import Size
from chunkmeans.kmeans.counting import sketch
from chunkmeans.results.store.store import IMAGES
from chunkmeans.results.write.layout import plan_labels
from chunkmeans.sources.array import MemoryImage
from chunkmeans.sources.formats.npy import NpyImage
from chunkmeans.steps.chunk import open_input
from chunkmeans.steps.plan.memory import plan_chunks
from chunkmeans.steps.tuning import DEFAULT
from distributed import LocalCluster
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import oracle
from tests.support.judge import assert_equal_to_oracle, same_model
from tests.support.strategies import DTYPES, given_means, images
from tests.support.ways import RAW, USUAL, Way
from tests.test_exactness import AXES, picture, some_means

EXAMPLES = settings().max_examples if settings().max_examples > 25 else 5
"""Each is two whole runs: few in the quick profile, as many as all others in ``ci``."""
SHARED = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
MEMORY = 2**30


# -- ways to do the same --------------------------------------------------------------------------


@st.composite
def ways(draw, *, raw=True):
    """Ways that cut small images into many chunks, on engines whose tasks see our numbers."""
    return Way(
        cluster=draw(st.sampled_from(["serial", "1", "2", "3"])),
        chunk=draw(st.sampled_from([1, 60, 10**9])),
        bundle=draw(st.sampled_from([1, 50, 10**9])),
        piece=draw(st.sampled_from([1, 7, 10**9])),
        small=draw(st.sampled_from([0, 0, 10**9])),
        libraries=draw(st.sampled_from([0, DEFAULT.libraries])),
        **(draw(st.sampled_from([{}, {"table_bits": 0}, RAW])) if raw else {}),
    )


@pytest.fixture(scope="module")
def clusters():
    """Sections ``cluster`` by name: Dask with 1 to 3 workers of threads, which see our numbers."""
    found = {"serial": {"kind": "serial"}}
    # a worker that is this process would be paused, for ever, once the tests have grown it
    awake = dask.config.set({"distributed.worker.memory.pause": False})
    with TemporaryDirectory() as folder, awake:
        opened = []
        for n in (1, 2, 3):
            cluster = LocalCluster(
                n_workers=n, threads_per_worker=2, processes=False, host="127.0.0.1",
                protocol="tcp", dashboard_address="127.0.0.1:0", memory_limit=MEMORY,
                silence_logs=logging.CRITICAL, local_directory=folder,
            )  # fmt: skip
            opened.append(cluster)
            found[str(n)] = {"kind": "address", "options": {"address": cluster.scheduler_address}}
        yield found
        for cluster in opened:
            cluster.close()


@pytest.fixture(scope="module")
def processes():
    """Section ``cluster`` of Dask with 2 workers that are processes."""
    with (
        TemporaryDirectory() as folder,
        LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0",
            memory_limit=MEMORY, silence_logs=logging.CRITICAL, local_directory=folder,
        ) as cluster,
    ):  # fmt: skip
        yield {"kind": "address", "options": {"address": cluster.scheduler_address}}


def run_by(way, cluster, paths, out, **sections):
    """Run the pipeline one way, and return what it left."""
    results = {"chunk": 4, "shard": 8, "mean_image": True, **sections.pop("results", {})}
    config = make_config(
        images={"path": [str(p) for p in paths], **sections.pop("images", {})},
        results={"path": str(out), **results},
        cluster=cluster,
        memory=MEMORY,
        **sections,
    )
    with way.taken():
        record = run(config)
    assert record.state == "finished"
    assert record.counts.get("failed", 0) == 0, open_run(out).catalog
    return open_run(out)


def stored(out):
    """Return the bytes of every file under an output's images, by name."""
    root = Path(out) / IMAGES
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def rows(found):
    """Return the rows of a catalogue by image, without the times."""
    return {row.id: replace(row, seconds=None) for row in found.catalog}


def save(folder, *arrays):
    """Write images (..., c) as .npy files; return their paths."""
    paths = [Path(folder) / f"image{i}.npy" for i in range(len(arrays))]
    for path, array in zip(paths, arrays, strict=True):
        np.save(path, array)
    return paths


# -- one image ------------------------------------------------------------------------------------


@SHARED
@given(data=st.data())
def test_every_way_stores_the_same_bytes_and_they_are_brute_forces(clusters, data):
    image = data.draw(images(max_side=13))
    means = data.draw(given_means(image, data.draw(st.sampled_from([1, 2, 5]))))
    way = data.draw(ways())
    asked = {
        "images": {
            "axes": AXES[image.values.ndim],
            "nodata": list(image.nodata) if len(image.nodata) > 1 else (image.nodata or (None,))[0],
        },
        "kmeans": {"init": {"means": means.tolist()}, "max_iterations": 20},
    }
    with TemporaryDirectory() as folder:
        paths = save(folder, image.values)
        usual = run_by(USUAL, clusters["serial"], paths, f"{folder}/usual", **asked)
        other = run_by(way, clusters[way.cluster], paths, f"{folder}/other", **asked)

        (found,) = other.images.values()
        assert_equal_to_oracle(
            found.labels()[...], found.model, image.values, means,
            nodata=image.nodata, max_iterations=20,
        )  # fmt: skip
        assert stored(f"{folder}/other") == stored(f"{folder}/usual")
        assert rows(other) == rows(usual)


@SHARED
@given(data=st.data())
def test_random_starts_are_the_same_every_way(clusters, data):
    image = data.draw(images(max_side=9))
    if not len(image.samples):
        return
    way = data.draw(ways(raw=False))
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sketch, "SKETCH", 32)  # few vectors are a sketch then, as many are
        asked = {
            "images": {"axes": AXES[image.values.ndim]},
            "features": {"scale": data.draw(st.sampled_from(["none", "standard", "range"]))},
            "kmeans": {
                "k": 3,
                "init": data.draw(st.sampled_from(["random", "kmeans++"])),
                "restarts": data.draw(st.sampled_from([1, 3])),
                "max_iterations": 20,
            },
        }
        paths = save(folder, image.values)
        run_by(USUAL, clusters["serial"], paths, f"{folder}/usual", **asked)
        run_by(way, clusters[way.cluster], paths, f"{folder}/other", **asked)

        assert stored(f"{folder}/other") == stored(f"{folder}/usual")


@pytest.mark.parametrize(
    ("dtype", "shape"), [*((dtype, (26, 19)) for dtype in DTYPES), ("int16", (5, 9, 11))]
)
def test_processes_store_the_same_bytes_as_one_task(tmp_path, processes, dtype, shape):
    image = picture(dtype, 3, shape, levels=50)
    image[3:7, 5] = 0
    paths = save(tmp_path, image)
    asked = {
        "images": {"axes": AXES[image.ndim], "nodata": 0},
        "kmeans": {"k": 7, "max_iterations": 12},
    }
    run_by(USUAL, {"kind": "serial"}, paths, tmp_path / "usual", **asked)
    cut = Way(chunk=100, bundle=150, small=0)
    run_by(cut, processes, paths, tmp_path / "other", **asked)

    assert stored(tmp_path / "other") == stored(tmp_path / "usual")


@pytest.fixture(scope="module")
def uncut(tmp_path_factory):
    """An image, its start, its labels and model in memory, and what the usual way stores of it."""
    image, folder = picture("uint16", 1, (19, 25), levels=60), tmp_path_factory.mktemp("uncut")
    means = some_means(image, 5)
    asked = {"images": {"axes": "yxc"}, "kmeans": {"init": {"means": means.tolist()}}}
    paths = save(folder, image)
    (usual,) = run_by(USUAL, {"kind": "serial"}, paths, folder / "u", **asked).images.values()
    return paths, asked, segment(image, axes="yxc", init=means), usual


@pytest.mark.parametrize("way", [USUAL, Way(small=0, chunk=1, **RAW)], ids=["small", "large"])
@pytest.mark.parametrize(
    ("edge", "shard"), [(2, 2), (3, 12), (5, "none"), (64, 64), ([2, 7], [6, 7])]
)
def test_how_labels_are_cut_does_not_show_in_any_level(tmp_path, uncut, way, edge, shard):
    paths, asked, result, usual = uncut
    cut = {"chunk": edge, "shard": shard}
    serial = {"kind": "serial"}
    (other,) = run_by(way, serial, paths, tmp_path / "o", results=cut, **asked).images.values()

    np.testing.assert_array_equal(other.labels()[...], result.labels)
    same_model(other.model, result.model)
    for level in range(min(other.scales, usual.scales)):
        np.testing.assert_array_equal(other.labels(level)[...], usual.labels(level)[...])


def test_pixels_that_are_held_are_read_once_and_give_the_same(tmp_path, monkeypatch):
    image = picture("float32", 2, (40, 40))
    paths = save(tmp_path, image)
    asked = {
        "images": {"axes": "yxc"},
        "kmeans": {"init": {"means": some_means(image, 4).tolist()}, "max_iterations": 9},
    }
    read = []
    decode = NpyImage.decode

    def counted(self, box, channels):
        read.append(box)
        return decode(self, box, channels)

    monkeypatch.setattr(NpyImage, "decode", counted)
    large = Way(small=0, chunk=64, bundle=200, **RAW)
    serial = {"kind": "serial"}
    run_by(large, serial, paths, tmp_path / "held", **asked)
    held = len(read)
    read.clear()
    tight = replace(large, libraries=MEMORY - least(large))
    (again,) = run_by(tight, serial, paths, tmp_path / "read", **asked).images.values()

    assert held == 25
    assert len(read) == held * (len(again.model.residuals) + 2)
    assert stored(tmp_path / "held") == stored(tmp_path / "read")


def least(way):
    """Return bytes that the tasks of `picture("float32", 2, (40, 40))` need, and hardly more."""
    with way.taken():
        source = open_input("image", MemoryImage(picture("float32", 2, (40, 40)), "yxc"))
    layout = plan_labels(source.info, 4, chunk=4, shard=8)
    need = plan_chunks(source, layout, Size(1, 1, 2**40), mean_image=True)[1]
    return need.total - way.libraries


def test_what_a_worker_held_of_another_run_is_not_taken_for_this_one(tmp_path, clusters):
    image = picture("float64", 3, (20, 20))
    paths = save(tmp_path, image)
    way = Way(small=0, chunk=64, **RAW)
    for channel in range(2):
        asked = {
            "images": {"axes": "yxc", "channels": [channel], "region": ["3:17", "0:20"]},
            "kmeans": {"init": {"means": [[-100.0], [300.0]]}, "max_iterations": 4},
        }
        out = tmp_path / f"out{channel}"
        (found,) = run_by(way, clusters["2"], paths, out, **asked).images.values()
        assert_equal_to_oracle(
            found.labels()[...], found.model, image[3:17, :, [channel]], [[-100.0], [300.0]],
            max_iterations=4,
        )  # fmt: skip


# -- several images -------------------------------------------------------------------------------


def several(dtype, channels=2):
    """Return images of one dtype that differ in shape and in what they show."""
    shapes = [(7, 13), (17, 5), (3, 5), (11, 9)]
    found = [picture(dtype, channels, s, seed=i, levels=40) for i, s in enumerate(shapes)]
    found[2] = found[2] // 2 if np.dtype(dtype).kind in "iu" else found[2] * np.float32(0.5)
    return [image.astype(dtype) for image in found]


@settings(SHARED, max_examples=max(3, EXAMPLES // 4))
@given(
    dtype=st.sampled_from(DTYPES),
    order=st.permutations(range(4)),
    way=ways(),
    scope=st.sampled_from(["image", "collection"]),
)
def test_order_and_way_do_not_change_any_image_of_a_collection(clusters, dtype, order, way, scope):
    arrays = several(dtype)
    means = some_means(np.concatenate([a.reshape(-1, 2) for a in arrays])[None], 5).tolist()
    asked = {
        "images": {"axes": "yxc"},
        "kmeans": {"init": {"means": means}, "scope": scope, "max_iterations": 4},
    }
    with TemporaryDirectory() as folder:
        paths = save(folder, *arrays)
        usual = run_by(USUAL, clusters["serial"], paths, f"{folder}/usual", **asked)
        shuffled = [paths[i] for i in order]
        other = run_by(way, clusters[way.cluster], shuffled, f"{folder}/other", **asked)

        assert stored(f"{folder}/other") == stored(f"{folder}/usual")
        assert rows(other) == rows(usual)
        for name, model in usual.models.items():
            same_model(other.models[name], model)
        assert other.record.inertia == usual.record.inertia


@pytest.mark.parametrize(
    ("dtype", "init", "scale"),
    [
        # each type and each start; the product is full: the types differ in what is read, the
        # starts in what is drawn from the table of it, and test_exactness has both for one image
        ("uint8", "random", "none"),
        ("uint16", "kmeans++", "standard"),
        ("int16", "random", "none"),
        ("float32", "kmeans++", "standard"),
        ("float64", "random", "none"),
        pytest.param("uint8", "kmeans++", "standard", marks=pytest.mark.full),
        pytest.param("uint16", "random", "none", marks=pytest.mark.full),
        pytest.param("int16", "kmeans++", "standard", marks=pytest.mark.full),
        pytest.param("float32", "random", "none", marks=pytest.mark.full),
        pytest.param("float64", "kmeans++", "standard", marks=pytest.mark.full),
    ],
)
def test_a_collection_is_the_kmeans_of_a_montage_of_all_its_images(
    tmp_path, clusters, dtype, init, scale
):
    arrays = several(dtype)
    paths = save(tmp_path, *arrays)
    kmeans = {"k": 6, "init": init, "seed": 5, "max_iterations": 10}

    found = run_by(
        Way(small=0, chunk=64, bundle=100), clusters["2"], paths, tmp_path / "out",
        images={"axes": "yxc"}, features={"scale": scale}, kmeans={"scope": "collection", **kmeans},
    )  # fmt: skip

    montage = np.concatenate([array.reshape(1, -1, 2) for array in arrays], axis=1)
    whole = segment(montage, axes="yxc", scale=scale, **kmeans)
    same_model(found.model, whole.model)
    assert found.record.inertia == whole.model.inertia
    assert found.record.residual == whole.model.residuals[-1]
    assert found.record.iterations == len(whole.model.residuals)
    parts = np.split(
        whole.labels[0], np.cumsum([array.shape[0] * array.shape[1] for array in arrays])
    )
    for name, array, part in zip(sorted(found.images), arrays, parts, strict=False):
        labels = found.images[name].labels()[...]
        np.testing.assert_array_equal(labels, part.reshape(array.shape[:2]))
        assert found.images[name].model.counts.sum() == labels.size
        np.testing.assert_array_equal(
            found.images[name].model.counts, np.bincount(part, minlength=7)[1:]
        )


def test_a_collection_may_mix_integer_types(tmp_path):
    arrays = [
        picture("uint8", 1, (9, 9)),
        picture("int16", 1, (12, 9)),
        picture("uint16", 1, (5, 9)),
    ]
    paths = save(tmp_path, *arrays)
    start = [[-3000.0], [0.0], [9000.0], [60000.0]]
    found = run_by(
        USUAL, {"kind": "serial"}, paths, tmp_path / "out",
        images={"axes": "yxc"}, kmeans={"scope": "collection", "init": {"means": start}},
    )  # fmt: skip

    montage = np.concatenate([array.astype(np.int64).reshape(-1, 1) for array in arrays])
    fit = oracle.lloyd(montage, start)
    np.testing.assert_array_equal(found.model.means, np.sort(fit.means, axis=0))
    assert found.model.residuals.tolist() == [turn.residual for turn in fit.iterations]


def test_processes_label_a_collection_as_one_thread_does(tmp_path, processes):
    paths = save(tmp_path, *several("uint16", 3))
    asked = {"images": {"axes": "yxc"}, "kmeans": {"k": 5, "scope": "collection", "restarts": 2}}
    run_by(USUAL, {"kind": "serial"}, paths, tmp_path / "usual", **asked)
    cut = Way(chunk=64, bundle=100, small=300)
    run_by(cut, processes, paths, tmp_path / "other", **asked)

    assert stored(tmp_path / "other") == stored(tmp_path / "usual")
