"""What tells whether an input is the one that was segmented: its size and time, or its content."""

import os
from pathlib import Path
from shutil import copyfile

import chunkmeans.steps.chunk
import numpy as np
import pytest
from chunkmeans import open_run, plan, run
from chunkmeans.errors import SourceError
from chunkmeans.results.read.catalog import read_catalog
from chunkmeans.results.store.store import Store
from chunkmeans.steps.chunk import CONTENT
from chunkmeans.steps.plan.jobs import jobs_of
from chunkmeans.steps.resume.inventory import take_inventory

from tests.steps.examples import config, save_images


def asked(folder, kind, **sections):
    images = {"fingerprint": kind, **sections.pop("images", {})}
    return config(folder, images=images, **sections)


def redone(asked):
    """Return which images another run does again."""
    store = Store(asked.results.path)
    return sorted(take_inventory(store, jobs_of(asked), "", pooled=False, retry_failed=False).why)


def touch(path):
    """Change the time of a file, and nothing of its content."""
    stat = os.stat(path)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))


def alter(path):
    """Change a byte of a file, and neither its size nor its time."""
    stat, data = os.stat(path), bytearray(Path(path).read_bytes())
    data[-1] ^= 1
    Path(path).write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (os.stat(path).st_size, os.stat(path).st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)


@pytest.mark.parametrize(
    ("kind", "expected"), [("stat", ["image0"]), ("content", ["image1"])], ids=str
)
@pytest.mark.parametrize("scope", ["image", "collection"])
def test_a_touched_image_and_an_altered_one(tmp_path, kind, expected, scope):
    save_images(tmp_path, 3)
    config = asked(tmp_path, kind, kmeans={"scope": scope})
    run(config)
    assert redone(config) == []
    touch(tmp_path / "in" / "image0.npy")
    alter(tmp_path / "in" / "image1.npy")
    assert redone(config) == expected
    before = open_run(config.results.path).images["image1"].source["fingerprint"]
    run(config)
    after = open_run(config.results.path).images["image1"].source["fingerprint"]
    assert (before == after) == (kind == "stat")
    assert redone(config) == []


def test_a_result_of_altered_content_is_that_of_the_new_content(tmp_path):
    save_images(tmp_path, 1)
    config = asked(tmp_path, "content")
    run(config)
    path = tmp_path / "in" / "image0.npy"
    stat, flipped = os.stat(path), 255 - np.load(path)
    np.save(path, flipped)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    run(config)
    model = open_run(config.results.path).images["image0"].model
    assert (model.counts @ model.means).tolist() == pytest.approx([flipped.sum()])


def test_a_broken_image_is_tried_again_when_its_content_is_another(tmp_path):
    (tmp_path / "in").mkdir()
    broken = tmp_path / "in" / "a.npy"
    broken.write_bytes(b"no array")
    config = asked(tmp_path, "content")
    os.utime(broken, (1, 1))
    run(config)
    assert read_catalog(Store(config.results.path))[0].fingerprint.startswith(CONTENT)
    touch(broken)
    assert redone(config) == []
    alter(broken)
    assert redone(config) == ["a"]


def test_a_mask_is_part_of_it(tmp_path):
    save_images(tmp_path, 2)
    mask = tmp_path / "mask.npy"
    np.save(mask, np.ones((12, 10, 1), np.uint8))
    os.unlink(tmp_path / "in" / "image1.npy")
    config = asked(tmp_path, "content", images={"mask": str(mask)})
    run(config)
    touch(mask)
    assert redone(config) == []
    alter(mask)
    assert redone(config) == ["image0"]


def test_another_kind_of_fingerprint_tells_nothing_and_says_so(tmp_path):
    save_images(tmp_path, 1)
    run(asked(tmp_path, "stat"))
    later = asked(tmp_path, "content")
    store = Store(later.results.path)
    why = take_inventory(store, jobs_of(later), "", pooled=False, retry_failed=False).why
    assert "images.fingerprint is of another kind" in why["image0"]
    run(later)
    assert redone(later) == []


def test_a_change_while_it_is_segmented_is_noticed_whatever_the_kind(tmp_path):
    save_images(tmp_path, 1)
    (job,) = jobs_of(asked(tmp_path, "content"))
    source = job.open()
    assert source.fingerprint.startswith(CONTENT)
    source.check_unchanged()
    touch(job.path)
    with pytest.raises(SourceError, match="changed while it was being segmented"):
        source.check_unchanged()


def test_contents_are_read_once_per_image_and_by_no_plan(tmp_path, monkeypatch):
    save_images(tmp_path, 3)
    read = []
    content_of = chunkmeans.steps.chunk.content_of

    def counted(paths, options):
        read.extend(os.path.basename(path) for path in paths)
        return content_of(paths, options)

    monkeypatch.setattr(chunkmeans.steps.chunk, "content_of", counted)
    plan(asked(tmp_path, "content"))
    assert read == []
    run(asked(tmp_path, "content"))
    assert sorted(read) == ["image0.npy", "image1.npy", "image2.npy"]
    run(asked(tmp_path, "stat"), overwrite=True)
    assert len(read) == 3


def test_a_copy_of_an_image_has_its_fingerprint(tmp_path):
    save_images(tmp_path, 1)
    copyfile(tmp_path / "in" / "image0.npy", tmp_path / "in" / "copy.npy")
    one, two = (job.open().fingerprint for job in jobs_of(asked(tmp_path, "content")))
    assert one == two
