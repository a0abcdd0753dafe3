"""What a task has written is completed together, and what cannot be costs itself only."""

import errno
import os

import pytest
from chunkmeans.errors import ResultError
from chunkmeans.results.read.open_results import open_segmented
from chunkmeans.results.store.store import Store
from chunkmeans.steps.resume import completion as steps
from chunkmeans.steps.resume.inventory import take_inventory
from chunkmeans.steps.segment.many_images import segment_batch

from tests.steps.examples import jobs


def rows(all_jobs):
    """Segment images in one task; return their rows by id."""
    found = segment_batch(tuple(all_jobs), memory=2**30, most=2**20)
    assert all(ending.mark is None for ending in found)
    return {ending.row.id: ending.row for ending in found}


@pytest.fixture
def together(monkeypatch):
    """The number of images that are completed at a time."""
    seen = []
    complete = steps.complete

    def told(store, marks):
        seen.append(len(marks))
        complete(store, marks)

    monkeypatch.setattr(steps, "complete", told)
    monkeypatch.setattr(steps, "SECONDS", float("inf"))
    return seen


def test_the_images_of_a_task_are_completed_together(tmp_path, together):
    rows(jobs(tmp_path))
    assert together == [4]


def test_slow_images_are_completed_before_the_task_ends(tmp_path, together, monkeypatch):
    monkeypatch.setattr(steps, "SECONDS", 0.0)
    rows(jobs(tmp_path))
    assert together == [1, 1, 1, 1, 0]


def test_a_store_that_cannot_be_synced_fails_its_own_image_only(tmp_path, together, monkeypatch):
    all_jobs, fsync = jobs(tmp_path), os.fsync

    def refuse(handle):
        if "image1" in os.readlink(f"/proc/self/fd/{handle}"):
            raise OSError(errno.EIO, "Input/output error")
        fsync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        found = rows(all_jobs)

    assert together == [4, 1, 1, 1, 1]
    assert {name for name, row in found.items() if row.state == "done"} == {
        "image0", "image2", "image3",
    }  # fmt: skip
    failed = found["image1"]
    assert "image1.ome.zarr: cannot be synced to disk: Input/output error" in failed.reason
    store: Store = all_jobs[1].output.store
    assert not store.exists("images/image1.ome.zarr")
    assert open_segmented(store, found["image2"].store).complete
    # the disk's failure, not the image's: the next run tries it again
    found = take_inventory(store, all_jobs, "", pooled=False, retry_failed=False)
    assert "image1" not in found.rows


def test_what_cannot_even_be_deleted_is_not_complete(tmp_path, together, monkeypatch):
    all_jobs = jobs(tmp_path, 1)

    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    def stays(self, name):
        raise ResultError("cannot be deleted")

    begun = []
    write = Store.write_bytes

    def told(self, *args):
        if not begun:
            begun.append(True)
            monkeypatch.setattr(os, "fsync", refuse)
            monkeypatch.setattr(Store, "delete", stays)
        write(self, *args)

    monkeypatch.setattr(Store, "write_bytes", told)
    found = rows(all_jobs)

    assert "choose a results.path that can be written" in found["image0"].reason
    with pytest.raises(ResultError, match="is incomplete"):
        open_segmented(all_jobs[0].output.store, "images/image0.ome.zarr")
