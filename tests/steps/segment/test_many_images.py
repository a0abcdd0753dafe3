"""Many images, each with means of its own."""

import warnings
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from chunkmeans.engines.serial import SerialEngine
from chunkmeans.events import Advanced, PhaseFinished, PhaseStarted, ignore
from chunkmeans.results.read.open_results import open_segmented
from chunkmeans.results.store.store import Store
from chunkmeans.sources.formats.npy import NpyImage
from chunkmeans.sources.warnings import MOST_WARNINGS
from chunkmeans.steps.plan.jobs import jobs_of
from chunkmeans.steps.resume.catalog_rows import stored_row
from chunkmeans.steps.segment.many_images import segment_images

from tests.steps.examples import config, in_many_tasks, jobs
from tests.steps.poison import poisoned
from tests.support.ways import tuned
from tests.test_exactness import picture


def endings(jobs, engine, watch=ignore):
    return {ending.row.id: ending for ending in segment_images(jobs, engine, watch)}


@pytest.mark.parametrize("small", [0, 140, 10**6], ids=["all large", "some", "all small"])
def test_every_image_ends_once_whatever_its_size(tmp_path, monkeypatch, small):
    tuned(monkeypatch, small_pixels=small, small_and_few_pixels=small)
    all_jobs = jobs(tmp_path)
    seen = []

    found = list(segment_images(all_jobs, SerialEngine(), seen.append))

    assert sorted(e.row.id for e in found) == [job.id for job in all_jobs]
    assert {e.row.state for e in found} == {"done"}
    assert [e.nbytes for e in sorted(found, key=lambda e: e.row.id)] == [120, 130, 140, 150]
    whole = [e for e in seen if getattr(e, "phase", "") == "images"]
    assert isinstance(whole[0], PhaseStarted)
    assert whole[0].units == 4
    assert sum(isinstance(e, Advanced) for e in whole) == 4
    assert isinstance(whole[-1], PhaseFinished)


@pytest.mark.parametrize("small", [0, 10**6], ids=["large", "small"])
@pytest.mark.parametrize("by", ["stat", "content"])
def test_an_image_is_opened_once(tmp_path, monkeypatch, small, by):
    tuned(monkeypatch, small_pixels=small, small_and_few_pixels=small)
    all_jobs = jobs(tmp_path, images={"fingerprint": by})
    opened, describe = [], NpyImage.describe
    monkeypatch.setattr(
        NpyImage, "describe", lambda self: opened.append(self.path) or describe(self)
    )

    found = endings(all_jobs, SerialEngine())

    assert {e.row.state for e in found.values()} == {"done"}
    assert sorted(opened) == [job.path for job in all_jobs]
    assert all(
        e.row.fingerprint.startswith("content ") == (by == "content") for e in found.values()
    )


def test_a_large_image_that_changed_while_it_waited_is_opened_again(tmp_path, monkeypatch):
    tuned(monkeypatch, small_pixels=0, small_and_few_pixels=0)
    all_jobs = jobs(tmp_path)

    found = {}
    for ending in segment_images(all_jobs, SerialEngine(), ignore):
        found[ending.row.id] = ending.row
        if len(found) == 1:
            waiting = next(job for job in all_jobs if job.id not in found)
            np.save(waiting.path, picture("uint8", 1, (9, 8)))

    assert {row.state for row in found.values()} == {"done"}
    assert found[waiting.id].shape == (9, 8)


def test_an_image_that_cannot_be_opened_fails_and_the_others_are_done(tmp_path):
    all_jobs = jobs(tmp_path)
    all_jobs[1] = replace(all_jobs[1], path=str(tmp_path / "in" / "gone.npy"))

    found = endings(all_jobs, SerialEngine())

    assert {e.row.state for name, e in found.items() if name != "image1"} == {"done"}
    assert found["image1"].row.state == "failed"
    assert "gone.npy" in found["image1"].row.reason
    assert "Traceback" in found["image1"].detail


@pytest.mark.parametrize("small", [0, 10**6], ids=["large", "small"])
def test_what_python_warns_of_is_a_reservation_of_that_image(tmp_path, monkeypatch, small):
    tuned(monkeypatch, small_pixels=small, small_and_few_pixels=small)
    all_jobs = jobs(tmp_path, 3)
    decode = NpyImage.decode

    def doubtful(self, box, channels):
        if "image1" in self.path:
            warnings.warn("half of it is grey", UserWarning, stacklevel=1)
        return decode(self, box, channels)

    monkeypatch.setattr(NpyImage, "decode", doubtful)
    found = {name: e.row for name, e in endings(all_jobs, SerialEngine()).items()}

    assert found["image1"].state == "warned"
    assert found["image1"].reason == "half of it is grey"
    assert {found[f"image{i}"].state for i in (0, 2)} == {"done"}
    made = open_segmented(all_jobs[1].output.store, found["image1"].store)
    assert stored_row(made, "image1", all_jobs[1]) == replace(found["image1"], seconds=None)


def test_what_tasks_on_workers_are_warned_of_is_told_as_in_one_task(tmp_path, processes):
    all_jobs = jobs(tmp_path, 3)
    all_jobs[1] = poisoned(all_jobs[1], "Doubtful")
    small = {name: e.row for name, e in endings(all_jobs, SerialEngine()).items()}

    seen = []
    cut = in_many_tasks(all_jobs)
    found = {name: e.row for name, e in endings(cut, processes, seen.append).items()}

    assert any(getattr(e, "phase", "") == "read" and getattr(e, "units", 0) > 3 for e in seen)
    rows = "; ".join(f"row {n:02} is grey" for n in range(MOST_WARNINGS - 1))
    assert small["image1"].reason == f"a tag is odd; {rows}"
    assert {name: replace(row, seconds=None) for name, row in found.items()} == {
        name: replace(row, seconds=None) for name, row in small.items()
    }


ENDS = {
    "DeadlyJob": "ended with status 1",
    "Segfault": "was killed by SIGSEGV",
    "Hanging": "takes more than 2 s, which images.limits.seconds allows",
    "Stuck": "did not come back in time (images.limits.seconds)",
    "Greedy": "MiB are allowed; raise `memory`",
}
"""What is said of an image that is read in such a way."""


QUICK = {("Segfault", "one task"), ("Hanging", "many tasks"), ("Greedy", "one task")}


@pytest.mark.parametrize(
    ("kind", "tasks"),
    [
        pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow)
        for case in product(ENDS, ("one task", "many tasks"))
    ],
)
def test_an_image_that_kills_its_worker_costs_itself_only(tmp_path, processes, kind, tasks):
    limits = {"seconds": 2 if kind in ("Hanging", "Stuck") else 600}
    expected = images_of(jobs(tmp_path, images={"limits": limits}), SerialEngine())
    all_jobs = jobs_of(config(tmp_path, images={"limits": limits}))
    if tasks == "many tasks":
        all_jobs = in_many_tasks(all_jobs)
    all_jobs[1] = poisoned(all_jobs[1], kind)
    Store(str(tmp_path / "out")).delete("")

    found = endings(all_jobs, processes)

    row = found["image1"].row
    assert row.state == "failed"
    assert ENDS[kind] in row.reason
    assert "image1.npy" in row.reason
    assert "Settings(" not in row.reason
    assert (row.fingerprint == "") == (kind == "Greedy")  # whether the next run tries it again
    del found["image1"], expected["image1"]
    assert {e.row.state for e in found.values()} == {"done"}
    assert labels_of(all_jobs, found) == expected
    if kind == "Hanging":
        assert "isolated process" not in row.reason, "it was waited for again and again"


def images_of(all_jobs, engine):
    return labels_of(all_jobs, endings(all_jobs, engine))


def labels_of(all_jobs, found):
    store = all_jobs[0].output.store
    return {
        name: open_segmented(store, ending.row.store).labels()[...].tobytes()
        for name, ending in found.items()
    }
