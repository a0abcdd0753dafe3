"""Whose an output is."""

from pathlib import Path

import pytest

from pipeline import ResultError, run
from pipeline.results.store import Store
from pipeline.steps.ownership import clear, earlier, refuse_other
from tests.steps.examples import config, save_images


@pytest.fixture
def asked(tmp_path):
    save_images(tmp_path, 3)
    return config(tmp_path)


def test_an_output_that_is_not_there_is_nobodys(asked):
    assert earlier(Store(asked.results.path)) is None
    assert refuse_other(Store(asked.results.path), asked.settings()) is None


def test_an_earlier_run_of_the_same_settings_is_gone_on_with(asked):
    run(asked)
    assert refuse_other(Store(asked.results.path), asked.settings()).settings == asked.settings()


def test_other_settings_are_refused_by_name(asked, tmp_path):
    run(asked)
    other = config(tmp_path, kmeans={"max_iterations": 5}, images={"nodata": 0})
    with pytest.raises(ResultError, match=r"images\.nodata: null -> 0; kmeans\.max_iterations: 10"):
        refuse_other(Store(asked.results.path), other.settings())


def test_what_is_no_output_of_a_run_is_refused(asked):
    images = Path(asked.results.path) / "images"
    images.mkdir(parents=True)
    assert earlier(Store(asked.results.path)) is None
    (images / "mine.txt").write_text("mine")
    with pytest.raises(ResultError, match=r"holds 'images' but no run\.json"):
        earlier(Store(asked.results.path))


def test_clearing_deletes_what_a_run_writes_and_nothing_else(asked):
    run(asked)
    out = Path(asked.results.path)
    (out / "notes.txt").write_text("mine")
    clear(Store(str(out)))
    assert [path.name for path in out.iterdir()] == ["notes.txt"]
