"""Many images, each with means of its own."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from pipeline.engines.serial import SerialEngine
from pipeline.events import Advanced, PhaseFinished, PhaseStarted, ignore
from pipeline.results.open import open_image
from pipeline.sources.hearing import MOST
from pipeline.sources.npy import NpyImage
from pipeline.steps import memory
from pipeline.steps.ending import row_of_store
from pipeline.steps.images import segment_images
from tests.steps.examples import in_many_tasks, jobs
from tests.steps.poison import DeadlyJob, DeadlyToRead, DoubtfulToRead, poisoned


def endings(jobs, engine, watch=ignore):
    return {ending.row.id: ending for ending in segment_images(jobs, engine, watch)}


@pytest.mark.parametrize("small", [0, 140, 10**6], ids=["all large", "some", "all small"])
def test_every_image_ends_once_whatever_its_size(tmp_path, monkeypatch, small):
    monkeypatch.setattr(memory, "SMALL_PIXELS", small)
    monkeypatch.setattr(memory, "SMALL_AND_FEW_PIXELS", small)
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
    monkeypatch.setattr(memory, "SMALL_PIXELS", small)
    monkeypatch.setattr(memory, "SMALL_AND_FEW_PIXELS", small)
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
    made = open_image(all_jobs[1].output.store, found["image1"].store)
    assert row_of_store(made, "image1", all_jobs[1]) == replace(found["image1"], seconds=None)


def test_what_tasks_on_workers_are_warned_of_is_told_as_in_one_task(
    tmp_path, monkeypatch, processes
):
    all_jobs = jobs(tmp_path, 3)
    all_jobs[1] = poisoned(all_jobs[1], DoubtfulToRead)
    small = {name: e.row for name, e in endings(all_jobs, SerialEngine()).items()}

    in_many_tasks(monkeypatch)
    seen = []
    found = {name: e.row for name, e in endings(all_jobs, processes, seen.append).items()}

    assert any(getattr(e, "phase", "") == "read" and getattr(e, "units", 0) > 3 for e in seen)
    rows = "; ".join(f"row {n:02} is grey" for n in range(MOST - 1))
    assert small["image1"].reason == f"a tag is odd; {rows}"
    assert {name: replace(row, seconds=None) for name, row in found.items()} == {
        name: replace(row, seconds=None) for name, row in small.items()
    }


@pytest.mark.parametrize("kind", [DeadlyJob, DeadlyToRead])
def test_an_image_that_kills_its_worker_costs_itself_only(tmp_path, processes, kind):
    all_jobs = jobs(tmp_path, 7)
    all_jobs[3] = poisoned(all_jobs[3], kind)

    found = endings(all_jobs, processes)

    assert len(found) == 7
    assert {e.row.state for name, e in found.items() if name != "image3"} == {"done"}
    row = found["image3"].row
    assert row.state == "failed"
    assert "image3.npy" in row.reason
    assert "Settings(" not in row.reason
    for name in ("image2", "image4"):
        labels = open_image(all_jobs[0].output.store, found[name].row.store).labels()[...]
        assert np.isin(labels, [1, 2, 3]).all()
