"""Which results of an earlier run still hold, and why others do not."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from chunkmeans import open_run, run
from chunkmeans.events import ImageFinished, Iterated
from chunkmeans.results.read.catalog import read_catalog
from chunkmeans.results.store.store import Store
from chunkmeans.steps.plan.jobs import jobs_of
from chunkmeans.steps.resume.inventory import pool_of, take_inventory
from hypothesis import given
from hypothesis import strategies as st

from tests.steps.examples import config, save_images
from tests.test_exactness import picture

images = st.lists(st.tuples(st.text(), st.text(), st.none() | st.lists(st.integers())), max_size=5)


@given(images, st.randoms())
def test_a_pool_is_of_its_images_in_any_order(listed, chance):
    other = list(listed)
    chance.shuffle(other)
    assert pool_of("settings", None, listed) == pool_of("settings", None, other)


@given(images, images)
def test_other_images_settings_or_initial_means_are_another_pool(one, two):
    key = sorted(map(repr, one)), sorted(map(repr, two))
    assert (pool_of("s", None, one) == pool_of("s", None, two)) == (key[0] == key[1])
    assert pool_of("s", None, one) != pool_of("t", None, one)
    assert len({pool_of("s", init, one) for init in (None, "a", "b")}) == 3


@pytest.fixture
def made(tmp_path):
    """Results of three images; returns their jobs and store."""

    def made(**kmeans):
        save_images(tmp_path, 3)
        asked = config(tmp_path, kmeans=kmeans)
        run(asked)
        return jobs_of(asked), Store(asked.results.path)

    return made


def held(store, jobs, retry_failed=False):
    return take_inventory(store, jobs, "", pooled=False, retry_failed=retry_failed)


def held_of_groups(store, jobs, settings):
    return take_inventory(store, jobs, settings, pooled=True, retry_failed=False)


def test_everything_holds_of_a_run_that_nothing_happened_to(made):
    jobs, store = made()
    found = held(store, jobs)
    assert list(found.rows) == ["image0", "image1", "image2"]
    assert (found.why, found.stale) == ({}, ())


def test_why_it_does_not_hold_is_told_with_both_fingerprints(made, tmp_path):
    jobs, store = made()
    before = read_catalog(store)[1].fingerprint
    np.save(tmp_path / "in/image1.npy", picture("uint8", 1, (5, 5)))
    found = held(store, jobs)
    stat = os.stat(tmp_path / "in/image1.npy")
    now = f"{stat.st_size} bytes, {stat.st_mtime_ns} ns"
    assert found.why == {"image1": f"the file changed: it was {before}, now {now}"}
    assert found.stale == ("images/image1.ome.zarr",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"path": "elsewhere.npy"}, "elsewhere.npy"),
        ({"group": "north"}, "its group was None, now north"),
    ],
)
def test_another_place_or_group_is_another_image(made, change, said):
    jobs, store = made()
    found = held(store, [replace(jobs[0], **change), *jobs[1:]])
    assert list(found.why) == ["image0"]
    assert said in found.why["image0"]


def test_a_damaged_store_says_what_is_wrong(made, tmp_path):
    jobs, store = made()
    (tmp_path / "out/images/image2.ome.zarr/zarr.json").write_text("{")
    found = held(store, jobs)
    assert "image2.ome.zarr/zarr.json: is damaged" in found.why["image2"]


def test_incomplete_stores_of_images_that_nobody_names_are_stale_and_foreign_ones_are_not(
    made, tmp_path
):
    jobs, store = made()
    for name, document in (
        ("begun", {"attributes": {"chunkmeans": {"format": 1, "complete": False}}}),
        ("foreign", {"attributes": {}}),
    ):
        path = tmp_path / f"out/images/sub/{name}.ome.zarr"
        path.mkdir(parents=True)
        whole = {"zarr_format": 3, "node_type": "group", **document}
        (path / "zarr.json").write_text(json.dumps(whole))
    found = held(store, jobs)
    assert found.stale == ("images/sub/begun.ome.zarr",)
    assert len(found.rows) == 3


def test_a_failure_holds_until_the_file_changes_or_somebody_asks(made, tmp_path):
    save_images(tmp_path, 2)
    path = Path(tmp_path / "in/image1.npy")
    path.write_bytes(b"nothing")
    os.utime(path, (1e9, 1e9))
    asked = config(tmp_path)
    run(asked)
    jobs, store = jobs_of(asked), Store(asked.results.path)

    assert list(held(store, jobs).rows) == ["image0", "image1"]
    assert "is to be retried" in held(store, jobs, retry_failed=True).why["image1"]
    os.utime(path, (1e9, 1e9 + 1))
    assert "the file changed" in held(store, jobs).why["image1"]


def test_a_group_holds_whole_or_not_at_all(made, tmp_path):
    jobs, store = made(scope="collection")
    rows = {row.id: row for row in read_catalog(store)}
    settings = json.loads(store.read_text("run.json"))["fingerprint"]
    assert list(held_of_groups(store, jobs, settings).rows) == list(rows)
    assert not held_of_groups(store, jobs, "other settings").rows

    np.save(tmp_path / "in/image1.npy", picture("uint8", 1, (5, 5)))
    found = held_of_groups(store, jobs, settings)
    assert not found.rows
    assert found.why["image0"] == "another image of its group is not as it was"
    assert found.why["image1"].startswith("the file changed")
    assert found.stale == ("images/image1.ome.zarr",)


# -- what a manifest says, and what a fit begins with ---------------------------------------------


@pytest.fixture
def listed(tmp_path):
    """Run over a manifest of these lines; returns the rows by id and what was watched."""
    (tmp_path / "in").mkdir()

    def listed(*lines, scope="image"):
        (tmp_path / "in" / "list.csv").write_text("\n".join(lines))
        asked = config(
            tmp_path,
            images={"path": str(tmp_path / "in" / "list.csv"), "axes": None},
            kmeans={"scope": scope, "init": "random", "k": 2},
        )
        told = []
        run(asked, watch=told.append)
        rows = {row.id: row for row in read_catalog(Store(asked.results.path))}
        return rows, told

    return listed


def save(tmp_path, **images):
    for name, pixels in images.items():
        np.save(tmp_path / "in" / f"{name}.npy", pixels)


def done_again(told):
    return {event.image for event in told if isinstance(event, ImageFinished)}


def test_a_failure_holds_as_long_as_the_same_is_asked_of_the_file(listed, tmp_path):
    save(tmp_path, a=picture("uint8", 3, (9, 9)))
    assert listed("path,channels", "a.npy,7")[0]["a"].state == "failed"
    rows, told = listed("path,channels", "a.npy,7")
    assert (rows["a"].state, done_again(told)) == ("failed", set())
    rows, told = listed("path,channels", "a.npy,0")
    assert (rows["a"].state, done_again(told)) == ("done", {"a"})


def test_an_image_without_a_pixel_is_looked_at_again_in_other_channels(listed, tmp_path):
    pixels = picture("float32", 2, (9, 9))
    pixels[..., 0] = np.nan
    save(tmp_path, a=pixels)
    assert listed("path,channels", "a.npy,0")[0]["a"].state == "skipped"
    assert listed("path,channels", "a.npy,1")[0]["a"].state == "done"


def test_another_mask_of_the_same_size_and_time_is_another_input(listed, tmp_path):
    left = np.zeros((8, 8), np.uint8)
    left[:, :4] = 1
    save(tmp_path, a=picture("uint8", 1, (8, 8))[..., 0], m1=left, m2=1 - left)
    for name in ("m1", "m2"):
        os.utime(tmp_path / "in" / f"{name}.npy", (1e9, 1e9))
    listed("path,mask", "a.npy,m1.npy")
    _, told = listed("path,mask", "a.npy,m2.npy")
    assert done_again(told) == {"a"}
    labels = open_run(str(tmp_path / "out")).images["a"].labels()[:]
    assert labels[:, 4:].all()
    assert not labels[:, :4].any()


def test_other_columns_of_a_manifest_reach_the_rows_of_what_is_done(listed, tmp_path):
    save(tmp_path, a=picture("uint8", 3, (9, 9)))
    listed("path,note", "a.npy,old")
    rows, told = listed("path,note", "a.npy,new")
    assert (rows["a"].extra, done_again(told)) == ({"note": "new"}, set())


def test_an_image_that_failed_in_one_group_is_tried_in_another(listed, tmp_path):
    grey, colour = picture("uint8", 1, (9, 9)), picture("uint8", 3, (9, 9))
    save(tmp_path, g1=grey, g2=grey + 1, r1=colour, r2=colour + 1)
    lines = ["path,group", "g1.npy,A", "g2.npy,A", "r2.npy,B"]
    assert listed(*lines, "r1.npy,A", scope="group")[0]["r1"].state == "failed"
    rows, told = listed(*lines, "r1.npy,B", scope="group")
    assert (rows["r1"].state, done_again(told)) == ("done", {"r1", "r2"})


@pytest.mark.parametrize("scope", ["image", "collection"])
def test_other_earlier_means_to_begin_with_make_everything_anew(tmp_path, scope):
    save_images(tmp_path, 2)
    first = config(tmp_path, kmeans={"scope": "collection", "init": "random"})
    first = replace_path(first, tmp_path / "first")
    run(first)
    asked = config(tmp_path, kmeans={"scope": scope, "init": {"from": str(tmp_path / "first")}})
    run(asked)
    told = []
    run(asked, watch=told.append)
    assert done_again(told) == set()
    run(replace_path(first, tmp_path / "first", seed=5), overwrite=True)
    run(asked, watch=told.append)
    assert done_again(told) == {"image0", "image1"}


def replace_path(asked, path, **kmeans):
    return asked.model_copy(
        update={
            "results": asked.results.model_copy(update={"path": str(path)}),
            "kmeans": asked.kmeans.model_copy(update=kmeans),
        }
    )


def test_an_image_that_left_its_collection_leaves_no_labels_there(listed, tmp_path):
    grey, colour = picture("uint8", 1, (9, 9)), picture("uint8", 3, (9, 9))
    save(tmp_path, g1=grey, r1=colour, r2=colour + 1)
    rows, _ = listed("path", "g1.npy", "r1.npy", "r2.npy", scope="collection")
    assert [rows[name].state for name in ("g1", "r1", "r2")] == ["failed", "done", "done"]
    rows, _ = listed("path", "g1.npy", "r1.npy", scope="collection")
    assert [rows[name].state for name in ("g1", "r1")] == ["done", "failed"]
    assert not (tmp_path / "out/images/r1.ome.zarr").exists()
    _, told = listed("path", "g1.npy", "r1.npy", scope="collection")
    assert done_again(told) == set()


def test_a_failure_that_may_pass_does_not_have_a_collection_fitted_again(listed, tmp_path):
    save(tmp_path, a=picture("float32", 1, (9, 9)), b=picture("float32", 1, (9, 9), seed=1))
    (tmp_path / "in/gone.npy").symlink_to("nowhere.npy")
    listed("path", "a.npy", "b.npy", "gone.npy", scope="collection")
    rows, told = listed("path", "a.npy", "b.npy", "gone.npy", scope="collection")
    assert {row.id: row.state for row in rows.values()} == {
        "a": "done", "b": "done", "gone": "failed",
    }  # fmt: skip
    assert not any(isinstance(event, Iterated) for event in told)
    found = open_run(str(tmp_path / "out"))
    assert found.record.iterations == len(found.model.residuals)
    save(tmp_path, gone=picture("float32", 1, (9, 9), seed=2))
    rows, told = listed("path", "a.npy", "b.npy", "gone.npy", scope="collection")
    assert any(isinstance(event, Iterated) for event in told)
    assert {row.state for row in rows.values()} == {"done"}


def test_counts_are_of_the_inputs_and_earlier_images_are_told_apart(listed, tmp_path):
    save(tmp_path, a=picture("uint8", 1, (9, 9)), b=picture("uint8", 1, (8, 9)))
    listed("path", "a.npy", "b.npy")
    rows, _ = listed("path", "a.npy")
    record = open_run(str(tmp_path / "out")).record
    assert (record.counts, record.images, record.others) == ({"done": 1}, 1, 1)
    assert list(rows) == ["a", "b"]
