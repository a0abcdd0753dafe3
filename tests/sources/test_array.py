import dask.array as da
import numpy as np
import pytest
from chunkmeans.errors import SourceError
from chunkmeans.image.grid import Box
from chunkmeans.sources import ReadOptions
from chunkmeans.sources.array import MemoryImage
from chunkmeans.testing import SourceTests


class InMemory(SourceTests):
    def open(self, written, **options):
        return MemoryImage(written, options=ReadOptions(**options))


class TestChannelsLast(InMemory):
    def write(self, folder, values):
        return values


class TestChannelsFirst(InMemory):
    dtype = ">f4"

    def write(self, folder, values):
        return np.moveaxis(values, -1, 0)


class TestVolume(InMemory):
    shape = (6, 7, 8)
    channels = 1
    dtype = "int16"

    def write(self, folder, values):
        return values[..., 0]


class TestManyChannelsOfTimeSeries(InMemory):
    shape = (2, 5, 6, 7)
    channels = 9
    dtype = "uint64"

    def write(self, folder, values):
        return values.transpose(1, 4, 0, 2, 3)

    def open(self, written, **options):
        return MemoryImage(written, "zctyx", options=ReadOptions(**options))


class TestBool(InMemory):
    channels = 1
    dtype = "bool"

    def write(self, folder, values):
        return values[..., 0]


class TestDask(InMemory):
    def write(self, folder, values):
        return da.from_array(values, chunks=(10, 20, 2))

    def test_a_block_is_what_decodes_without_waste(self, image):
        assert image.info.chunks == (10, 20)


def test_a_box_computes_only_the_blocks_it_meets():
    seen = []

    def block(values, block_info):
        seen.append(block_info[None]["chunk-location"])
        return values

    array = da.zeros((24, 16), chunks=8, dtype="uint8")
    image = MemoryImage(array.map_blocks(block, dtype="uint8", meta=np.empty((0, 0), "uint8")))
    assert image.info.shape == (24, 16)
    assert seen == []
    image.read(Box((9, 0), (15, 8)))
    assert seen == [(1, 0)]


def test_a_masked_pixel_is_not_valid():
    array = np.ma.masked_equal(np.array([[[1, 2, 3], [4, 9, 6]]]), 9)
    image = MemoryImage(array)
    assert image.info.alpha
    pixels = image.read(Box.whole((1, 2)))
    np.testing.assert_array_equal(pixels.valid, [[True, False]])
    np.testing.assert_array_equal(pixels.values, array.data)


def test_a_mask_is_part_of_the_fingerprint():
    values = np.arange(12).reshape(3, 4) + 10
    plain = MemoryImage(np.ma.masked_equal(values, 99))
    masked = MemoryImage(np.ma.masked_equal(values, 11))
    assert plain.fingerprint() != masked.fingerprint()


def test_a_list_of_numbers_is_an_image():
    assert MemoryImage([[1, 2], [3, 4]]).info.shape == (2, 2)


@pytest.mark.parametrize("array", [np.zeros((9, 9), complex), np.array([["a", "b"], ["c", "d"]])])
def test_what_holds_no_numbers_is_refused_by_name(array):
    with pytest.raises(SourceError, match=r"(complex numbers|text) \("):
        _ = MemoryImage(array).info


def test_an_unknown_shape_is_refused():
    array = da.arange(100, chunks=10).reshape(10, 10)
    array = array[array[:, 0] > 30]
    with pytest.raises(SourceError, match="compute_chunk_sizes"):
        _ = MemoryImage(array).info


def test_channels_that_look_like_a_volume_are_a_warning():
    assert "images.axes to yxc" in MemoryImage(np.zeros((50, 60, 6))).info.warnings[0]
    assert MemoryImage(np.zeros((50, 60, 6)), axes="yxc").info.warnings == ()
