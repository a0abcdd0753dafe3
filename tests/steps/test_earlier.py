"""Which results of an earlier run still hold, and why others do not."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import run
from pipeline.results.catalog import read_catalog
from pipeline.results.store import Store
from pipeline.steps.earlier import earlier_groups, earlier_images, pool_of
from pipeline.steps.jobs import jobs_of
from tests.steps.examples import config, save_images
from tests.test_exactness import picture

images = st.lists(st.tuples(st.text(), st.text(), st.none() | st.lists(st.integers())), max_size=5)


@given(images, st.randoms())
def test_a_pool_is_of_its_images_in_any_order(listed, chance):
    other = list(listed)
    chance.shuffle(other)
    assert pool_of("settings", listed) == pool_of("settings", other)


@given(images, images)
def test_other_images_or_settings_are_another_pool(one, two):
    key = sorted(map(repr, one)), sorted(map(repr, two))
    assert (pool_of("s", one) == pool_of("s", two)) == (key[0] == key[1])
    assert pool_of("s", one) != pool_of("t", one)


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
    return earlier_images(store, {r.id: r for r in read_catalog(store)}, jobs, retry_failed)


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
    assert "is to be tried again" in held(store, jobs, retry_failed=True).why["image1"]
    os.utime(path, (1e9, 1e9 + 1))
    assert "the file changed" in held(store, jobs).why["image1"]


def test_a_group_holds_whole_or_not_at_all(made, tmp_path):
    jobs, store = made(scope="collection")
    rows = {row.id: row for row in read_catalog(store)}
    settings = json.loads(store.read_text("run.json"))["fingerprint"]
    assert list(earlier_groups(store, rows, jobs, settings, False).rows) == list(rows)
    assert not earlier_groups(store, rows, jobs, "other settings", False).rows

    np.save(tmp_path / "in/image1.npy", picture("uint8", 1, (5, 5)))
    found = earlier_groups(store, rows, jobs, settings, False)
    assert not found.rows
    assert found.why["image0"] == "another image of its group is not as it was"
    assert found.why["image1"].startswith("the file changed")
    assert found.stale == ("images/image1.ome.zarr",)
