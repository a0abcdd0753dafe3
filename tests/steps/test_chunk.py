"""The unit of work: what of an image counts, and how a task reads it."""

import pickle

import numpy as np
import pytest
from chunkmeans import SourceError, open_image
from chunkmeans.engines.pixel_cache import PIXEL_CACHE
from chunkmeans.image.grid import Box
from chunkmeans.kmeans.metric import Metric
from chunkmeans.sources.array import MemoryImage
from chunkmeans.steps.chunk import Chunk, open_input
from chunkmeans.steps.plan.memory import cut
from chunkmeans.steps.segment.iterate import sum_bundle

from tests.steps.examples import source
from tests.support.ways import tuned
from tests.test_exactness import picture, some_means


@pytest.fixture(autouse=True)
def _nothing_held():
    PIXEL_CACHE.release("array")
    yield
    PIXEL_CACHE.release("array")


def whole(image, hold=0):
    return Chunk(image, Box.whole(image.info.shape), hold, "array")


@pytest.mark.parametrize("piece", [1, 10, 37, 10**6])
def test_pieces_give_every_valid_pixel_of_a_chunk_once_in_its_place(monkeypatch, piece):
    tuned(monkeypatch, piece_pixels=piece)
    array = picture("int16", 2, (12, 9), levels=9)
    array[3, 2:7] = 5
    chunk = Chunk(source(array, nodata=(5,)), Box((2, 1), (11, 8)), 0, "array")

    found = np.full((12, 9, 2), 5, np.int16)
    for box, sampled in chunk.read():
        assert box.inside(chunk.box)
        part = found[box.slices]
        part[... if sampled.valid is None else sampled.valid] = (
            sampled.values.reshape(part.shape) if sampled.valid is None else sampled.values
        )
    np.testing.assert_array_equal(found[chunk.box.slices], array[chunk.box.slices])


def test_a_mask_counts_where_any_of_its_channels_is_not_zero():
    mask = np.zeros((3, 3, 2), np.uint8)
    mask[0, 0, 1] = mask[1, 2, 0] = 9
    image = source(np.arange(9, dtype=np.uint8).reshape(3, 3, 1), mask=MemoryImage(mask, "yxc"))
    assert image.read(Box.whole((3, 3))).values.ravel().tolist() == [0, 5]


def test_what_is_held_is_read_once_and_what_does_not_fit_each_time(monkeypatch):
    reads = []
    decode = MemoryImage.decode
    monkeypatch.setattr(
        MemoryImage, "decode", lambda self, *what: reads.append(1) or decode(self, *what)
    )
    image = source(picture("uint8", 1, (10, 10)))
    for room, expected in ((200, 1), (199, 3)):
        reads.clear()
        PIXEL_CACHE.release("array")
        for _ in range(3):
            list(whole(image, room).read())
        assert len(reads) == expected


@pytest.mark.parametrize(("room", "kept"), [(0, 0), (1400, 1), (2800, 2), (100_000, 4)])
def test_a_pass_by_trees_decodes_what_is_not_held_once(monkeypatch, room, kept):
    reads = []
    decode = MemoryImage.decode
    monkeypatch.setattr(
        MemoryImage, "decode", lambda self, *what: reads.append(what) or decode(self, *what)
    )
    image = source(picture("float32", 3, (20, 20)))
    bundle = tuple(cut(image, (10, 10), room, "array"))
    metric, means = Metric(np.ones(3)), some_means(picture("float32", 3, (20, 20)), 3)
    expected = sum_bundle(bundle, means, metric, trees=False)
    for _ in range(3):
        reads.clear()
        assert sum_bundle(bundle, means, metric, trees=True).sums == expected.sums
        assert len(reads) == 4 - kept
    assert bool(bundle[0].trees(metric)) is (room == 100_000)


def test_what_is_held_is_known_by_all_that_decides_it():
    array = picture("uint8", 3, (6, 6))
    mask = MemoryImage(np.ones((6, 6), np.uint8), "yx", name="mask")
    images = [
        source(array),
        source(array[::-1]),
        source(array, nodata=(1,)),
        source(array, nodata=(2,)),
        source(array, mask=mask),
        open_input("array", MemoryImage(array, "yxc", name="another")),
    ]
    keys = {whole(image).key for image in images}
    assert len(keys) == len(images)
    assert whole(source(array.copy())).key == whole(source(array)).key


def test_a_chunk_pickles_and_says_where_it_is():
    chunk = whole(source(picture("uint8", 1, (4, 5))))
    again = pickle.loads(pickle.dumps(chunk))
    assert again.key == chunk.key
    assert repr(chunk) == "array [0:4, 0:5]"


def test_an_image_that_is_another_now_is_refused(tmp_path):
    path = tmp_path / "image.npy"
    np.save(path, picture("uint8", 1, (5, 5))[..., 0])
    image = open_input("image", open_image(str(path)))
    image.check_unchanged()
    np.save(path, picture("uint8", 1, (5, 6))[..., 0])
    with pytest.raises(SourceError, match=r"image\.npy: the file changed while"):
        image.check_unchanged()


def test_a_mask_of_another_shape_is_refused_with_both_shapes():
    mask = MemoryImage(np.ones((5, 4), np.uint8), "yx", name="mask.png")
    with pytest.raises(SourceError, match=r"\(5, 5\) pixels, its mask mask\.png is \(5, 4\)"):
        source(np.zeros((5, 5, 1), np.uint8), mask=mask)


def test_nodata_for_other_channels_is_refused_with_both_numbers():
    with pytest.raises(SourceError, match="nodata lists 2 numbers, the image has 3 channels"):
        source(np.zeros((5, 5, 3), np.uint8), nodata=(1, 2))
