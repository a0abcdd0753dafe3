"""The catalogue tells which images have the same content."""

import os
from dataclasses import replace
from shutil import copyfile

import chunkmeans.steps.resume.duplicates
import fsspec
import numpy as np
import pytest
from chunkmeans import make_config, run
from chunkmeans.events import Note
from chunkmeans.results.read.catalog import Row, read_catalog
from chunkmeans.results.store.store import Store
from chunkmeans.steps.plan.jobs import jobs_of
from chunkmeans.steps.resume.duplicates import mark_duplicates
from PIL import Image

from tests.steps.examples import config, save_images


def with_duplicates(jobs, rows):
    """Return rows by id with what they repeat."""
    marked = dict(rows)
    mark_duplicates(jobs, marked)
    return marked


def column(store):
    return {row.id: row.duplicate_of for row in read_catalog(store)}


@pytest.mark.parametrize("scope", ["image", "collection"])
def test_the_first_image_of_the_same_content_is_named(tmp_path, scope):
    save_images(tmp_path, 3)
    folder = tmp_path / "in"
    copyfile(folder / "image1.npy", folder / "zz.npy")
    copyfile(folder / "image1.npy", folder / "another.npy")
    changed = np.load(folder / "image2.npy")
    changed[5, 5] ^= 1
    np.save(folder / "near.npy", changed)  # of the same size, and the same but for a bit
    asked = config(tmp_path, kmeans={"scope": scope})
    run(asked)
    expected = {"another": "", "image1": "another", "zz": "another"}
    expected |= {"image0": "", "image2": "", "near": ""}
    store = Store(asked.results.path)
    assert column(store) == expected
    run(asked)  # nothing to do: it stays
    assert column(store) == expected


def test_a_run_that_ended_while_it_compared_is_followed_by_one_that_does(tmp_path, monkeypatch):
    save_images(tmp_path, 2)
    copyfile(tmp_path / "in" / "image1.npy", tmp_path / "in" / "zz.npy")
    asked = config(tmp_path)

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("chunkmeans.steps.resume.ledger.mark_duplicates", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(asked)
    run(asked)
    expected = {"image0": "", "image1": "", "zz": "image1"}
    assert column(Store(asked.results.path)) == expected


def test_a_catalogue_that_is_made_anew_tells_what_repeats_another(tmp_path):
    save_images(tmp_path, 2)
    copyfile(tmp_path / "in" / "image1.npy", tmp_path / "in" / "zz.npy")
    asked = config(tmp_path)
    run(asked)
    store = Store(asked.results.path)
    store.delete("catalog.csv")
    run(asked)
    assert column(store) == {"image0": "", "image1": "", "zz": "image1"}


def test_a_run_that_has_nothing_to_do_compares_nothing(tmp_path, monkeypatch):
    save_images(tmp_path, 2)
    asked = config(tmp_path)
    run(asked)
    compared = []
    monkeypatch.setattr(
        "chunkmeans.steps.resume.ledger.mark_duplicates", lambda *_: compared.append(1)
    )
    run(asked)
    assert compared == []
    with pytest.raises(KeyboardInterrupt):
        run(asked, watch=interrupting)
    run(asked)
    run(asked)
    assert compared == [1]


def interrupting(event):
    raise KeyboardInterrupt


def test_what_an_added_image_repeats_is_found_when_the_run_goes_on(tmp_path):
    save_images(tmp_path, 2)
    asked = config(tmp_path)
    run(asked)
    copyfile(tmp_path / "in" / "image1.npy", tmp_path / "in" / "a.npy")
    run(asked)
    assert column(Store(asked.results.path)) == {"a": "", "image0": "", "image1": "a"}


def test_images_that_failed_are_compared_and_those_that_are_gone_are_not(tmp_path):
    save_images(tmp_path, 1)
    for name in ("b", "c"):
        (tmp_path / "in" / f"{name}.npy").write_bytes(b"no array")
    asked = config(tmp_path)
    run(asked)
    assert column(Store(asked.results.path)) == {"b": "", "c": "b", "image0": ""}
    jobs = jobs_of(asked)
    rows = {job.id: Row(job.id, job.path, "failed") for job in jobs}
    os.unlink(jobs[0].path)
    assert {row.duplicate_of for row in with_duplicates(jobs, rows).values()} == {""}


def test_no_more_is_read_than_the_budget(tmp_path, monkeypatch):
    save_images(tmp_path, 1)
    copyfile(tmp_path / "in" / "image0.npy", tmp_path / "in" / "copy.npy")
    jobs = jobs_of(config(tmp_path))
    rows = {job.id: Row(job.id, job.path, "done") for job in jobs}
    assert with_duplicates(jobs, rows)["image0"].duplicate_of == "copy"
    size = os.path.getsize(jobs[0].path)
    monkeypatch.setattr(chunkmeans.steps.resume.duplicates, "BUDGET", 2 * size - 1)
    assert with_duplicates(jobs, rows) == rows
    stale = {**rows, "image0": replace(rows["image0"], duplicate_of="gone")}
    assert with_duplicates(jobs, stale) == rows


def test_how_many_were_not_compared_is_told_once(tmp_path, monkeypatch):
    save_images(tmp_path, 1)
    for name in ("b", "c"):
        copyfile(tmp_path / "in" / "image0.npy", tmp_path / "in" / f"{name}.npy")
    monkeypatch.setattr(chunkmeans.steps.resume.duplicates, "BUDGET", 1)
    told = []
    for _ in range(2):  # the second run has nothing to do
        run(config(tmp_path), watch=told.append)
    (text,) = (event.text for event in told if isinstance(event, Note))
    assert text.startswith("3 images may repeat others of the same size, but were not compared")
    assert text in (tmp_path / "out" / "logs" / "run.jsonl").read_text()


def test_of_an_object_store_only_contents_that_are_known_are_compared(tmp_path):
    save_images(tmp_path, 1)
    Image.fromarray(np.load(tmp_path / "in" / "image0.npy")[..., 0]).save(tmp_path / "one.png")
    data = (tmp_path / "one.png").read_bytes()
    fs = fsspec.filesystem("memory")
    for name in ("a", "b"):
        fs.pipe_file(f"/duplicates/{name}.png", data)

    def asked(kind):
        return make_config(
            images={"path": "memory://duplicates/*.png", "fingerprint": kind},
            kmeans={"k": 2},
            results={"path": str(tmp_path / kind)},
            cluster={"kind": "serial"},
        )

    for kind, expected in (("stat", ""), ("content", "a")):
        run(asked(kind))
        assert column(Store(str(tmp_path / kind))) == {"a": "", "b": expected}
