"""All images with one set of means, without those that cannot be read."""

import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from chunkmeans import open_run, run
from chunkmeans.engines.base import Size
from chunkmeans.engines.serial import SerialEngine
from chunkmeans.engines.worker import attempt as attempts
from chunkmeans.errors import ChunkError, ClusterError, ConfigError, ResultError
from chunkmeans.events import ignore
from chunkmeans.features.scale import ChannelScale
from chunkmeans.image.grid import Box
from chunkmeans.sources.formats.npy import NpyImage
from chunkmeans.steps.chunk import Chunk
from chunkmeans.steps.plan import memory
from chunkmeans.steps.plan.plan import looks_at, plan_image
from chunkmeans.steps.segment.collect import collect_bundle
from chunkmeans.steps.segment.shared import members, shared_means
from chunkmeans.steps.segment.shared.shared_means import Gathered, segment_collection

from tests.steps.examples import config, in_many_tasks, jobs, source
from tests.steps.poison import poisoned
from tests.support.judge import same_model
from tests.support.ways import tuned
from tests.test_exactness import picture


def pooled(jobs, engine=None):
    """Segment a collection; return the rows by id, and the model if there is one."""
    shared = Nowhere()
    found = segment_collection(jobs, engine or SerialEngine(), ignore, shared)
    return {ending.row.id: ending.row for ending in found}, shared.model


class Nowhere:
    """Keeps the model of a collection in memory, and knows of nothing before."""

    model = None

    def whole(self, pool, jobs):
        return ()

    def begin(self, pool, jobs):
        return {}

    def keep(self, model, attributes):
        self.model = model


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


def test_images_that_kill_their_workers_have_no_part_in_the_means(tmp_path, processes):
    all_jobs = jobs(tmp_path, 4)
    expected = pooled([all_jobs[0], all_jobs[3]])[1]
    all_jobs[1] = poisoned(all_jobs[1], "DeadlyJob")
    all_jobs[2] = poisoned(all_jobs[2], "Segfault")

    found, model = pooled(all_jobs, processes)

    for name in ("image1", "image2"):
        assert found[name].state == "failed"
        assert f"{name}.npy" in found[name].reason
    assert {found[name].state for name in ("image0", "image3")} == {"done"}
    same_model(model, expected)


def test_what_tasks_on_workers_are_warned_of_is_told_as_in_one_task(tmp_path, processes):
    all_jobs = jobs(tmp_path, 3)
    all_jobs[1] = poisoned(all_jobs[1], "Doubtful")
    small, _ = pooled(all_jobs)
    found, _ = pooled(in_many_tasks(all_jobs), processes)

    assert [small[f"image{n}"].state for n in range(3)] == ["done", "warned", "done"]
    assert small["image1"].reason.startswith("a tag is odd; row 00 is grey; row 01 is grey; ")
    assert {name: row.reason for name, row in found.items()} == {
        name: row.reason for name, row in small.items()
    }


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
    write_labels = members.write_labels

    def full(member, *rest):
        if member.job.id == "image1":
            raise ChunkError("no room")
        return write_labels(member, *rest)

    monkeypatch.setattr(members, "write_labels", full)
    found, model = pooled(all_jobs)

    assert found["image1"].state == "failed"
    assert model.counts.sum() == 120 + 140 + 150


def large(number):
    """Return a float image with one number of its own."""
    image = picture("float64", 1, (12, 10), seed=9)
    image[3, 4] = number
    return image


@pytest.mark.parametrize("number", [1e300, -1e300, np.finfo(np.float64).max])
@pytest.mark.parametrize("together", [True, False], ids=["one bundle", "many bundles"])
def test_an_image_of_numbers_too_large_to_be_squared_fails_alone(
    tmp_path, monkeypatch, number, together
):
    if not together:
        tuned(monkeypatch, bundle_pixels=1, chunk_pixels=64)
    all_jobs = jobs(tmp_path)
    for job in all_jobs:
        np.save(job.path, large(1.0))
    expected = without(all_jobs, "image2")
    np.save(all_jobs[2].path, large(number))

    found, model = pooled(all_jobs)

    assert found["image2"].state == "failed"
    reason = found["image2"].reason
    assert f"image2.npy: a pixel holds {number:g}" in reason
    assert "set images.nodata" in reason
    assert [found[f"image{i}"].state for i in (0, 1, 3)] == ["done"] * 3
    same_model(model, expected)


def test_a_large_number_that_stands_for_no_data_is_no_fault(tmp_path):
    all_jobs = [replace(job, nodata=(1e300,)) for job in jobs(tmp_path, 2)]
    np.save(all_jobs[0].path, np.full((5, 5, 1), 1e300))
    np.save(all_jobs[1].path, large(1e300))
    found, model = pooled(all_jobs)
    assert [found[f"image{i}"].state for i in range(2)] == ["skipped", "done"]
    assert model.counts.sum() == 119


def test_an_image_that_memory_is_too_small_for_fails_alone(tmp_path, monkeypatch):
    all_jobs = jobs(tmp_path)
    expected = without(all_jobs, "image2")
    plan_chunks = memory.plan_chunks

    def tight(source, *rest):
        if source.info.shape == (14, 10):
            raise ConfigError("memory: a worker needs 9 MiB")
        return plan_chunks(source, *rest)

    monkeypatch.setattr(memory, "plan_chunks", tight)
    found, model = pooled(all_jobs)

    assert found["image2"].state == "failed"
    assert "memory: a worker needs" in found["image2"].reason
    assert [found[f"image{i}"].state for i in (0, 1, 3)] == ["done"] * 3
    same_model(model, expected)


def test_images_are_planned_in_the_type_that_all_are_worked_on_in(tmp_path):
    all_jobs = jobs(tmp_path, 3)
    for job in all_jobs[:2]:
        np.save(job.path, picture("uint8", 1, (1500, 1500)))
    np.save(all_jobs[2].path, picture("float64", 1, (20, 20)))
    size = Size(1, 1, 300 * 2**20)
    looks = looks_at(all_jobs, partial(plan_image, size=size, most=0), pooled=True)
    rows, _ = pooled(all_jobs, SerialEngine(memory=size.memory))

    assert [bool(image.problem) for image, _ in looks] == [True, True, False]
    assert [rows[job.id].state for job in all_jobs] == ["failed", "failed", "done"]


def mixed(folder):
    all_jobs = jobs(folder)
    np.save(all_jobs[1].path, picture("uint8", 1, (9, 9)).astype(np.int64))
    np.save(all_jobs[2].path, picture("float64", 1, (9, 9)))
    return all_jobs


def with_settings(folder, **changed):
    found = jobs(folder)
    return [replace(job, settings=replace(job.settings, **changed)) for job in found]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (mixed, "the collection mixes pixels of type int64 and float64"),
        (partial(with_settings, scale=ChannelScale((1.0, 2.0))), "2 weights for 1 channels"),
        (partial(with_settings, init=np.ones((3, 2))), "given means have 2 channels"),
        (partial(with_settings, init=np.array([[1.0], [2.0], [1e4]]), empty="error"), "no sample"),
        (partial(with_settings, scale=ChannelScale((1e200,))), "a weighted pixel holds"),
    ],
)
def test_what_concerns_all_images_fails_each_with_the_reason_once(tmp_path, make, said):
    found, model = pooled(make(tmp_path))

    assert list(found) == [f"image{i}" for i in range(4)]
    assert {row.state for row in found.values()} == {"failed"}
    assert [row.reason.count(said) for row in found.values()] == [1] * 4
    assert model is None
    assert not list(tmp_path.glob("out/images/*"))


def test_an_image_that_failed_before_keeps_its_own_reason(tmp_path):
    all_jobs = with_settings(tmp_path, scale=ChannelScale((1.0, 2.0)))
    (tmp_path / "in" / "image2.npy").write_bytes(b"nothing")
    found, _ = pooled(all_jobs)
    assert "image2.npy" in found["image2"].reason
    assert all("2 weights" in found[f"image{i}"].reason for i in (0, 1, 3))


def test_a_group_that_cannot_be_fitted_costs_no_other_group(tmp_path):
    (tmp_path / "in").mkdir()
    lines = ["path,group"]
    for i, dtype in enumerate(["uint8", "int64", "float64", "uint8"]):
        np.save(tmp_path / "in" / f"{i}.npy", picture("uint8", 1, (9, 9), seed=i).astype(dtype))
        lines.append(f"in/{i}.npy,{'odd' if i in (1, 2) else 'even'}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    asked = config(
        tmp_path, images={"path": str(tmp_path / "manifest.csv")}, kmeans={"scope": "group"}
    )

    record = run(asked)

    assert (record.state, record.counts) == ("finished", {"done": 2, "failed": 2})
    assert list(open_run(asked.results.path).models) == ["even"]


@pytest.mark.parametrize("error", [ClusterError, ZeroDivisionError])
def test_lost_machines_and_bugs_are_no_fault_of_the_images(tmp_path, monkeypatch, error):
    def lost(*_):
        raise error("lost")

    monkeypatch.setattr(shared_means, "iterate", lost)
    with pytest.raises(error, match="lost"):
        pooled(jobs(tmp_path))


def test_a_model_that_cannot_be_written_ends_the_run(tmp_path):
    class Full(Nowhere):
        def keep(self, model, attributes):
            raise ResultError("model.zarr: no space left")

    with pytest.raises(ResultError, match="no space left"):
        list(segment_collection(jobs(tmp_path), SerialEngine(), ignore, Full()))


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
