import errno
import json
import os
import pickle
import random
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import zarr
from chunkmeans.errors import ResultError
from chunkmeans.image.grid import Box, split
from chunkmeans.results.read.open_results import open_segmented
from chunkmeans.results.store.store import Store
from chunkmeans.results.write.labels import mean_table
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.results.examples import (
    SHAPES,
    begin,
    brute_mode,
    counts,
    damaged,
    finish,
    finished,
    image_info,
    image_labels,
    layouts,
    model,
    stored_bytes,
    write_all,
)
from tests.support.pairs import pairwise

PATH = "images/a.ome.zarr"


def level(store, name):
    return np.asarray(zarr.open_array(store.zarr(PATH), path=name, mode="r")[...])


# -- what is written ----------------------------------------------------------------------------


@pairwise(image=SHAPES, k=[4, 300], sharded=[True, False])
def test_every_level_is_the_mode_of_the_level_below(any_store, image, k, sharded):
    shape, axes = image
    labels = image_labels(shape, k)
    shard = 8 if sharded else "none"
    finished(any_store, image_info(shape, axes), labels, k, chunk=4, shard=shard)
    image = open_segmented(any_store, PATH)
    assert len(image.levels) > 1
    for n in range(len(image.levels)):
        np.testing.assert_array_equal(image.labels(n)[...], labels)
        labels = brute_mode(labels, axes)


def test_the_nearest_pyramid_takes_first_pixels(tmp_path):
    store, labels = Store(str(tmp_path)), image_labels((37, 50))
    finished(store, image_info((37, 50)), labels, pyramid="nearest", chunk=4, shard=8)
    for n in range(4):
        np.testing.assert_array_equal(level(store, str(n)), labels[:: 2**n, :: 2**n])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize(("shape", "axes"), SHAPES)
def test_the_mean_image_is_the_mean_of_each_pixels_label_at_every_level(
    tmp_path, shape, axes, dtype
):
    store, labels = Store(str(tmp_path)), image_labels(shape)
    info = image_info(shape, axes, channels=2, dtype=dtype)
    fit = finished(store, info, labels, mean_image=True, chunk=4, shard=8)
    where = 1 if "t" in axes else 0
    image = open_segmented(store, PATH)
    for n in range(len(image.levels)):
        expected = np.zeros((*labels.shape, 2), dtype)
        for label, mean in enumerate(fit.means, 1):
            expected[labels == label] = mean if dtype[0] == "f" else [round(m) for m in mean]
        found = level(store, f"mean/{n}")
        np.testing.assert_array_equal(np.moveaxis(found, where, -1), expected)
        np.testing.assert_array_equal(image.mean_colours(n), expected)
        labels = brute_mode(labels, axes)


@pytest.mark.parametrize(
    ("means", "dtype", "pixels"),
    [
        ([[0.5, 1.5, 2.5]], "uint8", [0, 2, 2]),
        ([[-0.5, -1.5, 7.49]], "int16", [0, -2, 7]),
        ([[float(2**63), -float(2**63), 1e18]], "int64", [2**63 - 1, -(2**63), 10**18]),
        ([[float(2**64), 0, 2.0**63]], "uint64", [2**64 - 1, 0, 2**63]),
        ([[-3, 300, 254.5]], "uint8", [0, 255, 254]),
        ([[0.1, -1e300, 5]], "float64", [0.1, -1e300, 5]),
    ],
)
def test_means_of_integers_are_rounded_half_to_even_and_kept_in_range(means, dtype, pixels):
    table = mean_table(np.array(means, np.float64), np.dtype(dtype))
    assert table.dtype == dtype
    assert table.tolist() == [[0, 0, 0], pixels]


@settings(max_examples=settings.default.max_examples // 3)
@given(asked=layouts, seed=st.integers(0, 9), data=st.data())
def test_any_grouping_and_order_of_blocks_gives_the_same_bytes(tmp_path_factory, asked, seed, data):
    shape = data.draw(st.sampled_from([(21, 26), (5, 13, 9)]))
    store = Store(str(tmp_path_factory.mktemp("out")))
    labels, info = image_labels(shape, seed=seed), image_info(shape, channels=1)
    finished(store, info, labels, image="a", mean_image=True, **asked)

    writer = begin(store, info, image="b", mean_image=True, **asked)
    groups = data.draw(st.tuples(*[st.integers(1, 3)] * len(shape)))
    boxes = list(
        split(Box.whole(shape), [b * g for b, g in zip(writer.layout.block, groups, strict=True)])
    )
    fit = model(channels=1, counts=counts(labels))
    shuffle = random.Random(seed)
    shuffle.shuffle(boxes)
    for box in [*boxes, boxes[0]]:  # one of them twice, as a retry would
        writer.write(box, labels[box.slices], fit.means)
    for tasks in writer.layout.upper():
        shuffle.shuffle(tasks)
        for n, box in tasks:
            writer.write_upper((n, box), fit.means)
    finish(writer, fit, {"source": {"path": "a.tif"}})

    one, other = stored_bytes(store), stored_bytes(store, "images/b.ome.zarr")
    for name in ("zarr.json", "mean/zarr.json"):  # they hold the image's name
        assert other.pop(name).replace(b'"name": "b', b'"name": "a') == one.pop(name)
    assert one == other


@pytest.mark.parametrize("kind", ["threads", pytest.param("processes", marks=pytest.mark.full)])
def test_tasks_may_write_at_the_same_time(tmp_path, kind):
    store, labels = Store(str(tmp_path)), image_labels((90, 70))
    info = image_info((90, 70))
    finished(store, info, labels, chunk=8, shard=32)
    expected = stored_bytes(store)
    writer = begin(store, info, chunk=8, shard=32)
    boxes = list(split(Box.whole(labels.shape), writer.layout.block))
    parts = [labels[box.slices] for box in boxes]
    pool = (
        ThreadPoolExecutor(4)
        if kind == "threads"
        else ProcessPoolExecutor(2, mp_context=get_context("spawn"))
    )
    with pool:
        list(pool.map(writer.write, boxes, parts))
        for tasks in writer.layout.upper():
            list(pool.map(writer.write_upper, tasks))
    finish(writer, model(counts=counts(labels)), {"source": {"path": "a.tif"}})
    assert stored_bytes(store) == expected


def test_a_writer_pickles_without_showing_options():
    store = Store("memory://pickles", {"secret": "canary"})
    writer = begin(Store("memory://pickles"), image_info((20, 20)))
    assert pickle.loads(pickle.dumps(writer)) == writer
    assert "canary" not in repr(writer.__class__(store, *list(vars(writer).values())[1:]))


def test_chunks_without_a_label_are_written_like_all_others(tmp_path):
    store, labels = Store(str(tmp_path)), np.zeros((33, 20), np.uint8)
    for shard in (8, "none"):
        finished(store, image_info((33, 20)), labels, mean_image=True, chunk=4, shard=shard)
        open_segmented(store, PATH).check(read=True)


def test_every_array_carries_checksums_and_the_names_of_its_axes(tmp_path):
    store = Store(str(tmp_path))
    finished(store, image_info((33, 20)), image_labels((33, 20)), mean_image=True, chunk=4, shard=8)
    arrays = [json.loads(store.read_text(f"{PATH}/{n}/zarr.json")) for n in ("0", "3", "mean/0")]
    for array in arrays:
        assert array["fill_value"] == 0
        (codec,) = array["codecs"][:1]
        if codec["name"] == "sharding_indexed":
            inner = codec["configuration"]["codecs"]
            index = codec["configuration"]["index_codecs"]
            assert index[-1]["name"] == "crc32c"
        else:
            inner = array["codecs"]
        assert inner[-1] == {"name": "zstd", "configuration": {"level": 0, "checksum": True}}
    assert arrays[0]["dimension_names"] == ["y", "x"]
    assert arrays[2]["dimension_names"] == ["c", "y", "x"]
    assert "consolidated_metadata" not in store.read_text(f"{PATH}/zarr.json")


def test_georeferencing_is_kept_with_the_source(tmp_path):
    store = Store(str(tmp_path))
    info = image_info((9, 9), tags={"ModelPixelScaleTag": (0.5, 0.5, float("nan"))})
    finished(store, info, image_labels((9, 9)))
    assert open_segmented(store, PATH).source == {
        "path": "a.tif",
        "tags": {"ModelPixelScaleTag": [0.5, 0.5, "NaN"]},
    }


# -- what a caller may get wrong ----------------------------------------------------------------


def test_only_whole_blocks_of_the_right_labels_are_written(tmp_path):
    writer = begin(Store(str(tmp_path)), image_info((37, 50)), chunk=4, shard=8)
    for box in (Box((0, 0), (8, 9)), Box((4, 0), (8, 8)), Box((32, 48), (40, 50))):
        with pytest.raises(ValueError, match="is not made of whole blocks"):
            writer.write(box, np.zeros(box.shape, np.uint8))
    box = Box((32, 48), (37, 50))
    with pytest.raises(ValueError, match=r"the box needs \(5, 2\) of uint8"):
        writer.write(box, np.zeros((5, 3), np.uint8))
    with pytest.raises(ValueError, match=r"labels are .* of int64"):
        writer.write(box, np.zeros((5, 2), np.int64))
    writer.write(box, np.zeros((5, 2), np.uint8))


def test_a_mean_image_needs_means(tmp_path):
    writer = begin(Store(str(tmp_path)), image_info((8, 8)), mean_image=True)
    with pytest.raises(ValueError, match="needs the means"):
        writer.write(Box.whole((8, 8)), np.zeros((8, 8), np.uint8))


def test_counts_of_another_image_are_noticed(tmp_path):
    writer = begin(Store(str(tmp_path)), image_info((8, 8)))
    writer.write(Box.whole((8, 8)), np.zeros((8, 8), np.uint8))
    with pytest.raises(ValueError, match="counts 65 pixels, the image has 64"):
        finish(writer, model(counts=[60, 5, 0, 0]), {})
    with pytest.raises(ValueError, match="complete, model are not for the caller"):
        finish(writer, model(), {"complete": True, "model": 1})


# -- what is not finished -----------------------------------------------------------------------


def test_nothing_before_the_last_write_looks_like_an_image(tmp_path, monkeypatch):
    """Look at the store after every write of a file."""
    store, labels = Store(str(tmp_path)), image_labels((33, 20))
    seen = []

    def look():
        if store.exists(f"{PATH}/zarr.json"):
            attributes = json.loads(store.read_text(f"{PATH}/zarr.json"))["attributes"]
            whole = attributes["chunkmeans"]["complete"]
            assert ("ome" in attributes) == whole
            if not whole:
                with pytest.raises(ResultError, match="is incomplete"):
                    open_segmented(store, PATH)
            seen.append(whole)

    write_text = Store.write_text
    for name in ("replace", "fsync"):
        inner = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, inner=inner: (look(), inner(*a))[1])
    monkeypatch.setattr(Store, "write_text", lambda *a: (write_text(*a), look())[0])
    finished(store, image_info((33, 20)), labels, mean_image=True, chunk=4, shard=8)
    assert seen[-1]
    assert seen.count(True) == 2  # the folder is synced after the last write, then that is it
    assert len(seen) > 40


def test_the_mark_of_completion_waits_for_the_disk(tmp_path, monkeypatch):
    store, labels = Store(str(tmp_path)), image_labels((33, 20))
    info, fit = image_info((33, 20)), model(counts=counts(labels))
    writer = begin(store, info, chunk=4, shard=8)
    write_all(writer, labels)

    def refuse(handle):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", refuse)
        with pytest.raises(ResultError, match="cannot be synced"):
            finish(writer, fit, {})
    with pytest.raises(ResultError, match="is incomplete"):
        open_segmented(store, PATH)
    finish(writer, fit, {})
    open_segmented(store, PATH).check(read=True)


@pytest.mark.parametrize("name", ["0/c/2/1", "2/c/0/0", "mean/0/c/1/2/1"])
def test_an_image_with_a_hole_is_not_finished(any_store, name):
    labels = image_labels((33, 20))
    fit = model(counts=counts(labels))
    writer = begin(any_store, image_info((33, 20)), mean_image=True, chunk=4, shard=8)
    write_all(writer, labels, fit.means)
    any_store.delete(f"{PATH}/{name}")
    with pytest.raises(ResultError, match=f"1 of .* missing, the first is {name}"):
        finish(writer, fit, {})
    with pytest.raises(ResultError, match="is incomplete"):
        open_segmented(any_store, PATH)


def test_beginning_again_takes_the_mark_away_first(tmp_path):
    store = Store(str(tmp_path))
    finished(store, image_info((33, 20)), image_labels((33, 20)), chunk=4, shard=8)
    begin(store, image_info((9, 9)))
    with pytest.raises(ResultError, match="is incomplete"):
        open_segmented(store, PATH)
    assert store.files(PATH) == ["0/zarr.json", "zarr.json"]


# -- faults -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shard", [8, "none"])
@pytest.mark.parametrize("keep", [0, 5, -1])
def test_writing_again_heals_a_truncated_object(tmp_path, shard, keep):
    store, labels = Store(str(tmp_path)), image_labels((19, 18))
    info = image_info((19, 18), channels=1)
    finished(store, info, labels, mean_image=True, chunk=4, shard=shard)
    expected = stored_bytes(store)
    writer = begin(store, info, mean_image=True, chunk=4, shard=shard)
    fit = model(channels=1, counts=counts(labels))
    write_all(writer, labels, fit.means)
    for name in store.files(PATH):
        if "/c/" in name:
            path = tmp_path / PATH / name
            path.write_bytes(path.read_bytes()[:keep])
    write_all(writer, labels, fit.means)
    finish(writer, fit, {"source": {"path": "a.tif"}})
    assert stored_bytes(store) == expected


def test_labelling_looks_at_no_object_that_was_there(tmp_path, monkeypatch):
    store, labels = Store(str(tmp_path)), image_labels((29, 27))
    writer = begin(store, image_info((29, 27)), chunk=4, shard=8)
    monkeypatch.setattr(Store, "read_bytes", None)
    for _ in range(2):
        for box in split(Box.whole(labels.shape), writer.layout.block):
            writer.write(box, labels[box.slices])


def test_a_level_is_not_made_of_a_damaged_one(tmp_path):
    store, labels = Store(str(tmp_path)), image_labels((29, 27))
    writer = begin(store, image_info((29, 27)), chunk=4, shard=8)
    write_all(writer, labels)
    (task, *_), *_ = writer.layout.upper()
    below = tmp_path / PATH / str(task[0] - 1) / "c/0/0"
    whole = below.read_bytes()
    for keep in range(len(whole)):
        below.write_bytes(whole[:keep])
        with pytest.raises(ResultError, match="c/0/0: the object is damaged"):
            writer.write_upper(task)
    below.unlink()
    with pytest.raises(ResultError, match="c/0/0: cannot be read"):
        writer.write_upper(task)


@pytest.mark.parametrize("flips", [15, pytest.param(60, marks=pytest.mark.full)])
@pytest.mark.parametrize("shard", [8, "none"])
def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path, shard, flips):
    store = Store(str(tmp_path))
    finished(store, image_info((13, 11)), image_labels((13, 11)), chunk=4, shard=shard)
    image = open_segmented(store, PATH)
    image.check(read=True)
    rng = np.random.default_rng(0)
    names = [name for name in store.files(PATH) if "/c/" in name]
    for _ in range(flips):
        path = tmp_path / PATH / rng.choice(names)
        place = rng.integers(0, path.stat().st_size)
        bit = 1 << rng.integers(0, 8)

        def flip(data, place=place, bit=bit):
            return data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]

        with damaged(path, flip), pytest.raises(ResultError, match=r"is damaged at \["):
            image.check(read=True)
    image.check(read=True)


def test_a_full_disk_is_an_error_that_names_the_image(tmp_path, monkeypatch):
    store, labels = Store(str(tmp_path)), image_labels((29, 27))
    writer = begin(store, image_info((29, 27)), chunk=4, shard=8)
    box = Box((0, 0), (8, 8))

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("chunkmeans.results.store.local_files.write_whole", full)
        with pytest.raises(ResultError, match=r"a\.ome\.zarr: labels cannot be written: No space"):
            writer.write(box, labels[box.slices])
    writer.write(box, labels[box.slices])


def test_a_failure_that_may_pass_is_left_to_the_engine(tmp_path, monkeypatch):
    store, labels = Store(str(tmp_path)), image_labels((29, 27))
    writer = begin(store, image_info((29, 27)), chunk=4, shard=8)

    def late(*_, **__):
        raise TimeoutError(errno.ETIMEDOUT, "timed out")

    monkeypatch.setattr("chunkmeans.results.store.local_files.write_whole", late)
    with pytest.raises(TimeoutError):
        writer.write(Box((0, 0), (8, 8)), labels[:8, :8])


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "images").write_text("a file")
    with pytest.raises(ResultError, match="images"):
        begin(Store(str(tmp_path)), image_info((9, 9)))
