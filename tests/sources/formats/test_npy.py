import numpy as np
import pytest
from chunkmeans.errors import SourceError
from chunkmeans.image.grid import Box
from chunkmeans.sources import ReadOptions, open_image
from chunkmeans.testing import FileSourceTests


class Npy(FileSourceTests):
    def write(self, folder, values):
        path = folder / "array.npy"
        np.save(path, values)
        return str(path)


class TestColour(Npy):
    channels = 4


class TestBigEndianVolume(Npy):
    shape = (9, 10, 11)
    channels = 2
    dtype = ">u2"


class TestFortranOrderChannelsFirst(Npy):
    dtype = "float64"

    def write(self, folder, values):
        return super().write(folder, np.asfortranarray(np.moveaxis(values, -1, 0)))


class TestHalfFloats(Npy):
    dtype = "float16"


def test_objects_are_refused_and_never_unpickled(tmp_path):
    path = tmp_path / "objects.npy"
    np.save(path, np.array([[{}, 1], [2, 3]], object), allow_pickle=True)
    with pytest.raises(SourceError, match=r"objects\.npy.*[Oo]bject"):
        _ = open_image(str(path)).info


def test_axes_of_the_options_win(tmp_path):
    path = tmp_path / "bands.npy"
    array = np.arange(6 * 20 * 30, dtype="uint16").reshape(6, 20, 30)
    np.save(path, array)
    image = open_image(str(path), ReadOptions(axes="cyx"))
    assert image.info.channels == 6
    np.testing.assert_array_equal(
        image.read(Box((3, 4), (9, 12))).values, np.moveaxis(array[:, 3:9, 4:12], 0, -1)
    )


@pytest.mark.parametrize("name", ["series", "level"])
def test_what_an_array_does_not_have_is_not_passed_over(tmp_path, name):
    np.save(tmp_path / "a.npy", np.zeros((9, 9)))
    with pytest.raises(SourceError, match=rf"a\.npy.*images\.{name} is 1.*has no {name}"):
        _ = open_image(str(tmp_path / "a.npy"), ReadOptions(**{name: 1})).info


def test_a_url_is_refused_with_a_way_out():
    with pytest.raises(SourceError, match="store it as zarr"):
        _ = open_image("memory://folder/array.npy").info


@pytest.mark.parametrize("shape", [(7,), (2, 9, 9, 9, 9), (0, 9)])
def test_a_shape_that_is_no_image_is_an_error(tmp_path, shape):
    path = tmp_path / "odd.npy"
    np.save(path, np.zeros(shape))
    with pytest.raises(SourceError, match=r"odd\.npy.*(images\.axes|no pixels|at least the axes)"):
        _ = open_image(str(path)).info
