"""What is done already, and what is added."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from chunkmeans import ResultError, open_run, run
from chunkmeans.engines.machine import PeakMemory
from chunkmeans.events import Advanced, Iterated, PhaseStarted
from chunkmeans.results.read.catalog import Row, read_catalog
from chunkmeans.results.read.record import read_record
from chunkmeans.results.store import pace
from chunkmeans.results.store.store import Store
from chunkmeans.steps.plan.jobs import jobs_of
from chunkmeans.steps.resume import inventory
from chunkmeans.steps.resume import ledger as module
from chunkmeans.steps.resume.opening import Resume, open_ledger

from tests.steps.examples import config, save_images
from tests.test_exactness import picture


@pytest.fixture
def asked(tmp_path):
    save_images(tmp_path, 3)
    return config(tmp_path)


@pytest.fixture
def opened(asked):
    """Open the ledger of the three images; overwrites nothing."""

    def opened(config=asked, overwrite=False):
        return open_ledger(config, jobs_of(config), PeakMemory(), Resume(overwrite))

    return opened


def ids(jobs):
    return [job.id for job in jobs]


def test_at_first_everything_is_pending_and_the_record_says_running(opened, asked):
    with opened() as book:
        assert ids(book.pending) == ["image0", "image1", "image2"]
        store = Store(asked.results.path)
        assert read_record(store).state == "running"
        assert read_catalog(store) == []
        assert not open_run(asked.results.path).images
    assert read_record(store).state == "finished"


def test_rows_are_written_in_the_order_of_the_images(opened, asked, monkeypatch):
    monkeypatch.setattr(module, "SECONDS_BETWEEN_CATALOGUES", -1.0)
    monkeypatch.setattr(pace, "PAUSE_PER_SAVE", 0)
    with opened() as book:
        for name in ("image2", "image0"):
            book.add(Row(name, f"{name}.npy", "failed", "why"), 7)
        assert [row.id for row in read_catalog(book.store)] == ["image0", "image2"]
        assert ids(book.pending) == ["image1"]
        assert book.counts() == {"failed": 2}
        assert book.nbytes == 14


def test_between_saves_nothing_is_written(opened, asked):
    with opened() as book:
        book.add(Row("image2", "image2.npy", "failed", "why"), 0)
        assert read_catalog(book.store) == []
    assert [row.id for row in read_catalog(book.store)] == ["image2"]


@pytest.mark.parametrize(
    ("error", "state"),
    [(KeyboardInterrupt, "interrupted"), (RuntimeError, "failed"), (ResultError, "failed")],
)
def test_the_record_says_how_it_ended(opened, asked, error, state):
    with pytest.raises(error), opened():
        raise error
    assert read_record(Store(asked.results.path)).state == state


def test_what_is_done_is_kept_and_the_catalogue_is_read_once(opened, asked, monkeypatch):
    run(asked)
    reads = []
    read = inventory.read_catalog
    monkeypatch.setattr(inventory, "read_catalog", lambda store: reads.append(1) or read(store))
    with opened() as book:
        assert book.pending == []
        assert book.counts() == {"done": 3}
    assert reads == [1]


def spoil_mark(asked):
    path = Path(asked.results.path) / "images/image1.ome.zarr/zarr.json"
    document = json.loads(path.read_text())
    document["attributes"]["chunkmeans"]["complete"] = False
    path.write_text(json.dumps(document))


def spoil_store(asked):
    Store(asked.results.path).delete("images/image1.ome.zarr")


def spoil_image(asked):
    np.save(Path(asked.images.path[0]) / "image1.npy", picture("uint8", 1, (4, 4)))


def lose_row(asked):
    path = Path(asked.results.path) / "catalog.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "image1" not in line))


def lose_catalogue(asked):
    (Path(asked.results.path) / "catalog.csv").unlink()


def spoil_row(asked):
    path = Path(asked.results.path) / "catalog.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line.replace(",done,", ",failed,") if "image1" in line else line
                              for line in lines))  # fmt: skip


@pytest.mark.parametrize("scope", ["image", "collection"])
@pytest.mark.parametrize("lose", [lose_row, lose_catalogue, spoil_row])
def test_the_marks_of_the_stores_are_the_truth_and_the_catalogue_is_made_of_them(
    opened, tmp_path, asked, scope, lose
):
    asked = config(tmp_path, kmeans={"scope": scope, "max_iterations": 1})
    run(asked)
    rows = {row.id: replace(row, seconds=None) for row in open_run(asked.results.path).catalog}
    lose(asked)
    with opened(asked) as book:
        assert book.pending == []
    found = open_run(asked.results.path).catalog
    assert [row.id for row in found] == list(rows)
    assert {row.id: replace(row, seconds=None) for row in found} == rows
    assert rows["image1"].state == "warned"
    assert (Path(asked.results.path) / "labels.csv").read_text().count("\n") == 10


@pytest.mark.parametrize("spoil", [spoil_mark, spoil_store, spoil_image])
def test_what_is_not_whole_or_not_of_this_image_is_done_again(opened, asked, spoil):
    run(asked)
    spoil(asked)
    with opened() as book:
        assert ids(book.pending) == ["image1"]
        assert not (Path(asked.results.path) / "images/image1.ome.zarr").exists()


@pytest.mark.parametrize("spoil", [spoil_mark, spoil_store, spoil_image])
def test_of_a_collection_all_are_done_again_or_none(opened, tmp_path, spoil, asked):
    pooled = config(tmp_path, kmeans={"scope": "collection"})
    first = run(pooled)
    with opened(pooled) as book:
        assert book.pending == []
    assert book.record.inertia == first.inertia
    spoil(pooled)
    with opened(pooled) as book:
        assert len(book.pending) == 3
    assert book.record.inertia is None


def test_a_collection_without_its_model_is_done_again(opened, tmp_path, asked):
    pooled = config(tmp_path, kmeans={"scope": "collection"})
    run(pooled)
    Store(pooled.results.path).delete("model.zarr")
    with opened(pooled) as book:
        assert len(book.pending) == 3


def renamed(folder):
    """Take image0 and image1 away and put image9 in their place."""
    inputs = folder / "in"
    (inputs / "image0.npy").rename(inputs / "image9.npy")
    (inputs / "image1.npy").unlink()


def test_results_of_images_that_are_not_named_any_more_stay_listed_last(asked, tmp_path):
    run(asked)
    first = {row.id: row for row in read_catalog(Store(asked.results.path))}
    renamed(tmp_path)

    record = run(asked)

    found = open_run(asked.results.path)
    assert [row.id for row in found.catalog] == ["image2", "image9", "image0", "image1"]
    assert [row for row in found.catalog if row.id != "image9"] == [
        first[name] for name in ("image2", "image0", "image1")
    ]
    assert record.counts == found.record.counts == {"done": 2}
    assert record.others == found.record.others == 2
    assert record.pixels == sum(row.pixels for row in found.catalog[:2])
    assert list(found.images) == [row.id for row in found.catalog]
    for image in found.images.values():
        image.check(read=True)
    assert run(asked).counts == {"done": 2}


@pytest.mark.parametrize("spoil", [spoil_mark, spoil_store])
def test_of_other_images_only_complete_results_stay_listed(asked, tmp_path, spoil):
    run(asked)
    spoil(asked)
    renamed(tmp_path)
    assert run(asked).counts == {"done": 2}
    assert list(open_run(asked.results.path).images) == ["image2", "image9", "image0"]


def test_another_image_of_the_same_name_takes_the_place_of_the_first(asked, tmp_path):
    run(asked)
    (tmp_path / "in").rename(tmp_path / "moved")
    other = config(tmp_path, images={"path": str(tmp_path / "moved" / "image1.npy")})
    record = run(other)
    assert (record.counts, record.others) == ({"done": 1}, 2)
    rows = open_run(asked.results.path).catalog
    assert [row.id for row in rows] == ["image1", "image0", "image2"]
    assert "moved" in rows[0].source


def test_of_a_collection_results_of_other_images_are_not_listed_beside_other_means(asked, tmp_path):
    pooled = config(tmp_path, kmeans={"scope": "collection"})
    run(pooled)
    renamed(tmp_path)

    record = run(pooled)

    found = open_run(pooled.results.path)
    assert record.counts == {"done": 2}
    assert [row.id for row in found.catalog] == ["image2", "image9"] == list(found.images)
    assert (Path(pooled.results.path) / "images/image0.ome.zarr").exists()
    assert found.model.counts.sum() == sum(row.pixels for row in found.catalog)


def test_groups_of_any_name_have_models_and_resume(asked, tmp_path):
    names = ["a/b", "..", "collection", "zarr.json", "A", "a", "x" * 400, "n\0"]
    for i in range(len(names)):
        np.save(tmp_path / f"in/{i}.npy", picture("uint8", 1, (9, 9), seed=i))
    manifest = tmp_path / "manifest.csv"
    rows = [f"in/{i}.npy,{name}" for i, name in enumerate(names)]
    manifest.write_text("\n".join(["path,group", *rows]))
    grouped = config(tmp_path, images={"path": str(manifest)}, kmeans={"scope": "group"})

    assert run(grouped).counts == {"done": len(names)}
    found = open_run(grouped.results.path)
    assert set(found.models) == set(names)
    for i, name in enumerate(names):
        assert found.images[f"in/{i}"].attributes["group"] == name
        assert found.images[f"in/{i}"].model.means.tolist() == found.models[name].means.tolist()
    assert found.record.inertia is None
    with open_ledger(grouped, jobs_of(grouped), PeakMemory()) as book:
        assert book.pending == []


def test_another_choice_of_channels_in_a_manifest_is_another_image(asked):
    run(asked)
    jobs = jobs_of(asked)
    options = replace(jobs[1].options, channels=(0,))
    jobs[1] = replace(jobs[1], options=options)
    with open_ledger(asked, jobs, PeakMemory()) as book:
        assert ids(book.pending) == ["image1"]


def test_other_settings_are_refused_or_overwritten(opened, tmp_path, asked):
    run(asked)
    other = config(tmp_path, kmeans={"max_iterations": 5}, images={"nodata": 0})
    with pytest.raises(ResultError, match="--overwrite"), opened(other):
        pass
    assert read_record(Store(asked.results.path)).settings == asked.settings()
    with opened(other, overwrite=True) as book:
        assert len(book.pending) == 3
        assert not (Path(asked.results.path) / "images").exists()


def test_what_a_run_is_doing_is_told_to_those_who_look_at_its_files(opened):
    with opened() as book:
        book.watch(PhaseStarted("read", "collection", 100, 4))
        book.watch(Advanced("read", "collection", 25, 25))
        book.watch(Advanced("label", "image0", 9, 9))
        book.watch(Iterated("collection", 0, 3, 0.5, 7.0))
        found = book.progress()
    assert (found["phase"], found["pixels_done"], found["units_done"]) == ("read", 25, 1)
    assert (found["iteration"], found["residual"], found["ended"]) == (3, 0.5, 0)


def test_a_run_that_another_took_over_ends(opened, asked):
    def overtaken():
        with opened() as book:
            book.lease._lost = "process 7 on node7"
            book.add(Row("image2", "image2.npy", "failed", "why"), 0)

    with pytest.raises(ResultError, match=r"another run took over.*node7"):
        overtaken()
