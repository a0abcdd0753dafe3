import json
from pathlib import Path

import numpy as np
import pytest
from chunkmeans.errors import ResultError
from chunkmeans.image.grid import Box
from chunkmeans.results.models.models import write_model
from chunkmeans.results.read.catalog import Row, write_catalog
from chunkmeans.results.read.open_results import open_run, open_segmented
from chunkmeans.results.read.record import RunRecord, write_record
from chunkmeans.results.store.store import Store, image_path

from tests.results.examples import (
    assert_same_model,
    begin,
    finish,
    finished,
    image_info,
    image_labels,
    model,
    write_all,
)

RECORD = RunRecord(
    config={"kmeans": {"k": 4}}, settings={"kmeans": {"k": 4}}, fingerprint="abc", state="finished"
)


@pytest.fixture
def run(any_store):
    """A run of two finished images and one that failed half way."""
    write_record(any_store, RECORD)
    for image in ("b", "a"):
        finished(any_store, image_info((33, 20)), image_labels((33, 20)), image=image, chunk=8)
    begin(any_store, image_info((9, 9)), image="c")
    rows = [Row(i, f"{i}.tif", "done", store=image_path(i)) for i in ("b", "a")]
    write_catalog(any_store, [*rows, Row("c", "c.tif", "failed", "cut short")])
    return any_store


def test_a_run_is_opened_with_all_that_it_left(run):
    opened = open_run(run.path)
    assert opened.record == RECORD
    assert [row.state for row in opened.catalog] == ["done", "done", "failed"]
    assert list(opened.images) == ["b", "a"]
    assert len(opened.images) == 2
    assert "c" not in opened.images
    image = opened.images["a"]
    assert image.complete
    assert image.axes == "yx"
    assert image.shape == (33, 20)
    assert image.levels == ((33, 20), (17, 10), (9, 5), (5, 3))
    assert image.dtype == np.uint8
    assert image.source == {"path": "a.tif"}
    assert image.model.k == 4
    np.testing.assert_array_equal(image.labels()[...], image_labels((33, 20)))
    image.check(read=True)
    with pytest.raises(KeyError):
        opened.images["never"]


def test_an_image_that_is_not_finished_is_shown_only_if_asked_for(run):
    with pytest.raises(ResultError, match=r"c\.ome\.zarr: is incomplete.*run the same command"):
        open_segmented(run, image_path("c"))
    opened = open_run(run.path, allow_incomplete=True)
    assert list(opened.images) == ["a", "b", "c"]
    image = opened.images["c"]
    assert not image.complete
    for act in (lambda: image.model, lambda: image.shape, image.labels, image.check):
        with pytest.raises(ResultError, match=r"incomplete|no level"):
            act()


def test_a_run_under_way_has_no_catalogue_but_images(any_store):
    write_record(any_store, RECORD)
    finished(any_store, image_info((9, 9)), image_labels((9, 9)))
    opened = open_run(any_store.path)
    assert list(opened.images) == ["a"]
    with pytest.raises(ResultError, match=r"catalog\.csv: cannot be read"):
        _ = opened.catalog


def test_models_of_a_collection_and_of_groups_are_found(run):
    opened = open_run(run.path)
    assert opened.models == {}
    with pytest.raises(ResultError, match="each image has a model of its own"):
        _ = opened.model
    write_model(run, None, model())
    opened = open_run(run.path)
    assert_same_model(opened.model, model())
    assert list(opened.models) == ["collection"]
    write_model(run, "north/west", model(seed=1))
    assert_same_model(open_run(run.path).models["north/west"], model(seed=1))


def test_mean_colours_of_a_region_are_those_of_the_whole(run):
    image = open_run(run.path).images["a"]
    whole = image.mean_colours(1)
    assert whole.shape == (17, 10, 3)
    assert whole.dtype == np.uint8
    labels = np.asarray(image.labels(1)[...])
    assert (whole[labels == 0] == 0).all()
    np.testing.assert_array_equal(
        whole[labels == 2], np.rint(image.model.means[1])[None].repeat((labels == 2).sum(), 0)
    )
    box = Box((3, 2), (9, 10))
    np.testing.assert_array_equal(image.mean_colours(1, box), whole[box.slices])
    np.testing.assert_array_equal(image.mean_colours(1, box.slices), whole[box.slices])


@pytest.mark.parametrize("level", [-1, 4])
def test_a_level_that_is_not_there_is_an_error_that_says_which_are(run, level):
    image = open_run(run.path).images["a"]
    with pytest.raises(ResultError, match=f"has no level {level}; it has 0 to 3"):
        image.labels(level)


@pytest.mark.parametrize("mean_image", [False, True])
def test_a_missing_object_is_found_in_every_level(any_store, mean_image):
    labels = image_labels((33, 20))
    fit = model(counts=np.bincount(labels.ravel(), minlength=5)[1:])
    for n in range(4):
        writer = begin(any_store, image_info((33, 20)), mean_image=mean_image, chunk=4, shard=8)
        write_all(writer, labels, fit.means)
        finish(writer, fit, {})
        image = open_segmented(any_store, writer.path)
        image.check()
        gone = f"mean/{n}/c/2/0/0" if mean_image else f"{n}/c/0/0"
        any_store.delete(f"{writer.path}/{gone}")
        with pytest.raises(ResultError, match=f"1 of .* missing, the first is {gone}"):
            image.check()


def test_a_folder_that_is_no_run_is_an_error_that_says_what_it_is(any_store):
    with pytest.raises(ResultError, match="does not exist"):
        open_run(any_store.path + "/nowhere")
    any_store.write_text("notes.txt", "x")
    with pytest.raises(ResultError, match=r"holds no run\.json"):
        open_run(any_store.path)
    finished(any_store, image_info((9, 9)), image_labels((9, 9)))
    with pytest.raises(ResultError, match="is a zarr store, not the output of a run"):
        open_run(any_store.join("images/a.ome.zarr"))


def test_an_images_store_opens_by_itself(any_store):
    finished(any_store, image_info((9, 9)), image_labels((9, 9)), mean_image=True)
    image = open_segmented(Store(any_store.join("images/a.ome.zarr")), "")
    image.check(read=True)
    np.testing.assert_array_equal(image.labels()[...], image_labels((9, 9)))


def test_what_is_not_ours_or_from_the_future_is_refused(tmp_path):
    store = Store(str(tmp_path))
    with pytest.raises(ResultError, match=r"b\.ome\.zarr: there is no image's store"):
        open_segmented(store, image_path("b"))
    group = {"zarr_format": 3, "node_type": "group", "attributes": {}}
    store.write_text("images/b.ome.zarr/zarr.json", json.dumps(group))
    with pytest.raises(ResultError, match="that chunkmeans did not write"):
        open_segmented(store, image_path("b"))
    group["attributes"] = {"chunkmeans": {"format": 2, "complete": True}}
    store.write_text("images/b.ome.zarr/zarr.json", json.dumps(group))
    with pytest.raises(ResultError, match=r"newer chunkmeans \(format 2"):
        open_segmented(store, image_path("b"))
    store.write_text("images/b.ome.zarr/zarr.json", '{"node_type": "array"}')
    with pytest.raises(ResultError, match="is an array where a group is needed"):
        open_segmented(store, image_path("b"))


def test_a_path_may_be_a_path(tmp_path):
    write_record(Store(str(tmp_path)), RECORD)
    assert open_run(Path(tmp_path)).record == RECORD


def test_storage_options_reach_the_file_system_and_are_not_shown(tmp_path):
    write_record(Store(str(tmp_path)), RECORD)
    opened = open_run(str(tmp_path), {"secret": "canary"})
    assert opened.store.storage_options == {"secret": "canary"}
    assert "canary" not in repr(opened)
