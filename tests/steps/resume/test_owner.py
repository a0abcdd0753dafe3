"""Whose an output is."""

import json
from pathlib import Path

import pytest
from chunkmeans import ResultError, run
from chunkmeans.results.store.store import Store
from chunkmeans.steps.resume.owner import clear_output, previous_run
from chunkmeans.steps.resume.saved import subject_of, subject_of_image, sweep

from tests.steps.examples import config, save_images
from tests.support.object_store import Told  # noqa: F401  registers told://


@pytest.fixture
def asked(tmp_path):
    save_images(tmp_path, 3)
    return config(tmp_path)


def test_an_output_that_is_not_there_is_nobodys(asked):
    for overwrite in (False, True):
        found = previous_run(Store(asked.results.path), asked.settings(), overwrite=overwrite)
        assert found is None


def test_an_earlier_run_of_the_same_settings_is_gone_on_with(asked):
    run(asked)
    found = previous_run(Store(asked.results.path), asked.settings())
    assert found.settings == asked.settings()


def test_other_settings_are_refused_by_name(asked, tmp_path):
    run(asked)
    other = config(tmp_path, kmeans={"max_iterations": 5}, images={"nodata": 0})
    with pytest.raises(ResultError, match=r"images\.nodata: null -> 0; kmeans\.max_iterations: 10"):
        previous_run(Store(asked.results.path), other.settings())
    found = previous_run(Store(asked.results.path), other.settings(), overwrite=True)
    assert found.settings == asked.settings()


def test_what_is_no_output_of_a_run_is_refused(asked):
    images = Path(asked.results.path) / "images"
    images.mkdir(parents=True)
    assert previous_run(Store(asked.results.path), asked.settings()) is None
    (images / "mine.txt").write_text("mine")
    with pytest.raises(ResultError, match=r"holds 'images' but no run\.json"):
        previous_run(Store(asked.results.path), asked.settings())


def test_every_name_that_a_run_writes_is_named_where_it_is_somebody_elses(tmp_path):
    store = Store(str(tmp_path))
    files = [
        "catalog.csv", "labels.csv", "model.zarr/a", "fits/a", "images/a", "logs/a",
    ]  # fmt: skip
    for name in files:
        store.write_text(name, "{}")
    with pytest.raises(ResultError) as refused:
        previous_run(store, {})
    for name in files:
        assert repr(name.partition("/")[0]) in str(refused.value)


def test_what_a_run_leaves_that_is_killed_before_its_record_is_nobodys(asked):
    """An overwriting one, too: the tables of pixels stay when the rest is cleared."""
    pooled = config(Path(asked.results.path).parent, kmeans={"scope": "collection"})
    run(pooled)
    store = Store(pooled.results.path)
    clear_output(store)
    assert store.names() == ["samples.zarr"]
    for name in ("lease.json", "run.json.1f.partial", "logs/run.jsonl.1f.partial"):
        store.write_text(name, "{")
    assert previous_run(store, {}) is None
    store.delete("samples.zarr/zarr.json")  # damaged, they are as good as none
    assert previous_run(store, {}) is None


@pytest.mark.parametrize("path", ["folder", "told://cleared"])
def test_clearing_leaves_what_somebody_put_beside_our_logs_and_fits(tmp_path, path):
    store = Store(str(tmp_path) if path == "folder" else path)
    theirs = ["fits/mine.json", "logs/my.log", "logs/run.log"]
    ours = [
        "fits/collection.json",
        f"fits/{subject_of('a/b')}.json",
        f"fits/{subject_of_image('c')}.json",
        "logs/run-20200101T000000000000-00000.jsonl",
        "logs/run.jsonl",
        "run.json",
    ]
    for name in [*ours, *theirs]:
        store.write_text(name, json.dumps(name))
    sweep(store, [])
    assert set(theirs) < set(store.files())
    clear_output(store)
    assert store.files() == theirs


def test_clearing_deletes_what_a_run_writes_and_nothing_else(asked):
    run(asked)
    out = Path(asked.results.path)
    (out / "notes.txt").write_text("mine")
    clear_output(Store(str(out)))
    assert [path.name for path in out.iterdir()] == ["notes.txt"]
