"""The marks of several stores are set together, and none before everything is on the disk."""

import errno
import os

import pytest
from chunkmeans.errors import ResultError
from chunkmeans.results.read.open_results import open_segmented
from chunkmeans.results.store.store import Store, image_path
from chunkmeans.results.write.complete import complete

from tests.results.examples import begin, counts, image_info, image_labels, model, write_all

NAMES = [f"a{i}" for i in range(5)]


def written(store):
    """Write some images; return their marks."""
    labels = image_labels((33, 20))
    marks = []
    for name in NAMES:
        writer = begin(store, image_info((33, 20)), image=name, chunk=4, shard=8)
        write_all(writer, labels)
        marks.append(writer.mark(model(counts=counts(labels)), {}))
    return marks


def test_all_are_complete(any_store):
    marks = written(any_store)
    for name in NAMES:
        with pytest.raises(ResultError, match="is incomplete"):
            open_segmented(any_store, image_path(name))
    complete(any_store, marks)
    for name in NAMES:
        open_segmented(any_store, image_path(name)).check(read=True)


def test_none_is_set_before_the_files_of_all_are_on_the_disk(tmp_path, monkeypatch):
    store = Store(str(tmp_path))
    marks = written(store)
    on_the_disk, fsync, replace = set(), os.fsync, os.replace

    def synced(handle):
        on_the_disk.add(os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    def named(old, new):
        missing = {store.join(f"{mark.path}/{n}") for mark in marks for n in store.files(mark.path)}
        missing = {path for path in missing if not path.endswith(".partial")}
        assert missing <= on_the_disk
        assert old in on_the_disk
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", named)
    complete(store, marks)
    for mark in marks:
        for folder, _, _ in os.walk(store.join(mark.path)):
            assert folder in on_the_disk


def test_no_image_at_all_is_complete_at_once(any_store):
    complete(any_store, [])


def test_a_disk_that_refuses_leaves_none_complete(tmp_path, monkeypatch):
    store = Store(str(tmp_path))
    marks = written(store)

    def refuse(handle):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(ResultError, match="cannot be synced to disk: Input/output error"):
            complete(store, marks)
    for name in NAMES:
        with pytest.raises(ResultError, match="is incomplete"):
            open_segmented(store, image_path(name))
