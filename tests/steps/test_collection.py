"""All images with one set of means, without those that cannot be read."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from pipeline.engines import attempt as attempts
from pipeline.engines.serial import SerialEngine
from pipeline.errors import ChunkError
from pipeline.events import ignore
from pipeline.grid import Box
from pipeline.sources.npy import NpyImage
from pipeline.steps import collection
from pipeline.steps.chunk import Chunk
from pipeline.steps.collect import collect_bundle
from pipeline.steps.collection import Gathered, segment_collection
from tests.judge import same_model
from tests.steps.examples import jobs, source
from tests.steps.poison import DeadlyJob, DeadlyToRead, poisoned
from tests.test_exactness import picture


def pooled(jobs, engine=None):
    """Segment a collection; return the rows by id, and the model if there is one."""
    kept = []
    found = segment_collection(jobs, engine or SerialEngine(), ignore, kept.append)
    return {ending.row.id: ending.row for ending in found}, (kept or [None])[0]


def without(jobs, name):
    return pooled([job for job in jobs if job.id != name])[1]


def test_an_image_of_other_channels_fails_by_name_and_the_others_go_on(tmp_path):
    all_jobs = jobs(tmp_path)
    np.save(tmp_path / "in" / "image0.npy", picture("uint8", 3, (9, 9)))

    found, model = pooled(all_jobs)

    assert found["image0"].state == "failed"
    assert "image0.npy: has 3 channels, most of the collection has 1" in found["image0"].reason
    assert [found[f"image{i}"].state for i in (1, 2, 3)] == ["done"] * 3
    same_model(model, without(all_jobs, "image0"))


@pytest.mark.parametrize("what", ["header", "pixels"])
def test_an_image_that_cannot_be_read_has_no_part_in_the_means(tmp_path, monkeypatch, what):
    all_jobs = jobs(tmp_path)
    expected = without(all_jobs, "image2")
    if what == "header":
        (tmp_path / "in" / "image2.npy").write_bytes(b"nothing")
    else:
        decode = NpyImage.decode

        def broken(self, box, channels):
            if "image2" in self.path:
                raise ValueError("a broken tile")
            return decode(self, box, channels)

        monkeypatch.setattr(NpyImage, "decode", broken)

    found, model = pooled(all_jobs)

    assert found["image2"].state == "failed"
    assert "image2.npy" in found["image2"].reason
    same_model(model, expected)


def test_a_read_that_fails_for_the_moment_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(attempts.attempt, "__kwdefaults__", {"pauses": (0.0, 0.0), "rest": id})
    all_jobs = jobs(tmp_path)
    expected = pooled(all_jobs)[1]
    decode, failed = NpyImage.decode, []

    def hiccup(self, box, channels):
        if "image2" in self.path and not failed:
            failed.append(box)
            raise TimeoutError("the network slept")
        return decode(self, box, channels)

    monkeypatch.setattr(NpyImage, "decode", hiccup)
    found, model = pooled(all_jobs)

    assert failed
    assert {row.state for row in found.values()} == {"done"}
    same_model(model, expected)


@pytest.mark.parametrize("kind", [DeadlyJob, DeadlyToRead])
def test_an_image_that_kills_its_worker_has_no_part_in_the_means(tmp_path, processes, kind):
    all_jobs = jobs(tmp_path, 6)
    expected = without(all_jobs, "image3")
    all_jobs[3] = poisoned(all_jobs[3], kind)

    found, model = pooled(all_jobs, processes)

    assert found["image3"].state == "failed"
    assert "image3.npy" in found["image3"].reason
    assert {row.state for name, row in found.items() if name != "image3"} == {"done"}
    same_model(model, expected)


def test_an_image_without_a_valid_pixel_is_skipped_and_changes_nothing(tmp_path):
    all_jobs = [replace(job, nodata=(0,)) for job in jobs(tmp_path)]
    np.save(tmp_path / "in" / "image1.npy", np.zeros((7, 7, 1), np.uint8))

    found, model = pooled(all_jobs)

    assert found["image1"].state == "skipped"
    assert found["image1"].nodata == 49
    assert found["image1"].store == ""
    assert not (tmp_path / "out" / "images" / "image1.ome.zarr").exists()
    same_model(model, without(all_jobs, "image1"))


def test_without_any_valid_pixel_every_image_is_skipped_and_there_is_no_model(tmp_path):
    found, model = pooled([replace(job, nodata=(5,)) for job in _blank(tmp_path)])
    assert {row.state for row in found.values()} == {"skipped"}
    assert model is None


def _blank(folder):
    all_jobs = jobs(folder, 2)
    for job in all_jobs:
        np.save(job.path, np.full((4, 4, 1), 5, np.uint8))
    return all_jobs


def test_of_no_image_that_can_be_read_nothing_is_left(tmp_path):
    all_jobs = jobs(tmp_path, 2)
    for job in all_jobs:
        (tmp_path / "in" / f"{job.id}.npy").write_bytes(b"nothing")

    found, model = pooled(all_jobs)

    assert {row.state for row in found.values()} == {"failed"}
    assert model is None


def test_an_image_that_cannot_be_labelled_is_not_in_the_totals(tmp_path, monkeypatch):
    all_jobs = jobs(tmp_path)
    write_labels = collection.write_labels

    def full(job, *rest):
        if job.id == "image1":
            raise ChunkError("no room")
        return write_labels(job, *rest)

    monkeypatch.setattr(collection, "write_labels", full)
    found, model = pooled(all_jobs)

    assert found["image1"].state == "failed"
    assert model.counts.sum() == 120 + 140 + 150


def test_what_bundles_leave_merges_in_any_order_and_travels():
    parts = []
    for seed in range(3):
        image = source(picture("uint16", 1, (6, 7), seed=seed))
        box = Box.whole(image.info.shape)
        parts.append(Gathered(collect_bundle((Chunk(image, box, 0, "all"),)), {}))
    broken = Gathered(None, {"b": ChunkError("b: broken")})

    a, b, c = parts
    for merged in (a.merge(b).merge(c), c.merge(a.merge(b)), b.merge(c).merge(a)):
        assert merged.collected.pixels == 3 * 42
        np.testing.assert_array_equal(
            merged.collected.samples().values, a.merge(b.merge(c)).collected.samples().values
        )
    assert list(a.merge(broken).failures) == ["b"] == list(broken.merge(a).failures)
    assert str(pickle.loads(pickle.dumps(broken)).failures["b"]) == "b: broken"
