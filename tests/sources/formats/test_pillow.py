import os

import fsspec
import numpy as np
import pytest
from chunkmeans.errors import SourceError
from chunkmeans.image.grid import Box
from chunkmeans.sources import ReadOptions, open_image
from chunkmeans.testing import FileSourceTests
from PIL import Image as Pillow


def read(path, **options):
    image = open_image(str(path), ReadOptions(**options))
    return image.info, image.read(Box.whole(image.info.shape))


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")


class Raster(FileSourceTests):
    name = "picture.bmp"

    def write(self, folder, values):
        path = folder / self.name
        flat = values.squeeze(-1) if self.channels == 1 else values
        Pillow.fromarray(flat).save(path, lossless=True)
        return str(path)


class TestBmp(Raster):
    pass


class TestGreyBmp(Raster):
    channels = 1


class TestWebp(Raster):
    name = "picture.webp"


class TestGreyGif(Raster):
    channels = 1
    name = "picture.gif"


class TestJpeg(Raster):
    """JPEG loses, so that what is expected is what pillow reads back."""

    name = "picture.jpg"

    @pytest.fixture
    def expected(self, written):
        with Pillow.open(written) as picture:
            return np.asarray(picture)


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, suffix, tag):
    stored = np.kron(np.array([[0, 80, 160], [255, 200, 120]], "uint8"), np.ones((16, 16), "uint8"))
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.T,
        6: stored[::-1].T,
        7: stored[::-1, ::-1].T,
        8: stored[:, ::-1].T,
    }[tag]
    exif = Pillow.Exif()
    exif[274] = tag
    path = tmp_path / f"a.{suffix}"
    Pillow.fromarray(stored).convert("RGB").save(path, exif=exif, quality=100, lossless=True)
    info, pixels = read(path)
    assert info.shape == upright.shape
    assert np.abs(pixels.values[..., 0].astype(int) - upright).max() <= 2


@pytest.mark.parametrize("share", np.linspace(0.02, 0.999, 25))
@pytest.mark.parametrize("suffix", ["jpg", "gif", "webp", "bmp"])
def test_a_file_cut_anywhere_is_an_error_or_the_same_pixels(tmp_path, suffix, share):
    path = tmp_path / f"a.{suffix}"
    picture = Pillow.fromarray(noise(40, 50, 3))
    picture = picture.quantize(64) if suffix == "gif" else picture
    picture.save(path, lossless=True)
    _, whole = read(path)
    os.truncate(path, int(path.stat().st_size * share))
    try:
        _, part = read(path)
    except SourceError:
        return
    np.testing.assert_array_equal(part.values, whole.values)


def test_alpha_of_webp_masks_where_it_is_zero(tmp_path):
    values = noise(6, 7, 4)
    values[..., 3] = np.arange(42).reshape(6, 7) % 3
    Pillow.fromarray(values).save(tmp_path / "a.webp", lossless=True, exact=True)
    info, pixels = read(tmp_path / "a.webp")
    assert (info.channels, info.alpha) == (3, True)
    np.testing.assert_array_equal(pixels.values, values[..., :3])
    np.testing.assert_array_equal(pixels.valid, values[..., 3] > 0)


def test_a_gif_palette_becomes_rgb_and_its_transparent_index_masks(tmp_path):
    picture = Pillow.fromarray(np.array([[0, 1], [2, 1]], "uint8")).convert("P")
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    picture.save(tmp_path / "a.gif", transparency=1)
    info, pixels = read(tmp_path / "a.gif")
    assert (info.channels, info.alpha) == (3, True)
    assert pixels.valid.tolist() == [[True, False], [True, False]]
    assert pixels.values[:, 0].tolist() == [[10, 20, 30], [70, 80, 90]]


def test_frames_are_series_and_the_first_comes_with_a_warning(tmp_path):
    frames = [Pillow.new("RGB", (4, 3), (v, 0, 0)) for v in (10, 20, 30)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    info, pixels = read(tmp_path / "a.webp")
    assert "several frames" in info.warnings[0]
    assert (pixels.values[..., 0] == 10).all()
    info, pixels = read(tmp_path / "a.webp", series=2)
    assert info.warnings == ()
    assert (pixels.values[..., 0] == 30).all()
    with pytest.raises(SourceError, match=r"series 3 is out of range.*3 frames \(0 to 2\)"):
        read(tmp_path / "a.webp", series=3)


def test_a_level_is_refused(tmp_path):
    Pillow.new("L", (4, 4), 1).save(tmp_path / "a.bmp")
    with pytest.raises(SourceError, match=r"a\.bmp.*images\.level is 1.*no level"):
        read(tmp_path / "a.bmp", level=1)


def test_one_bit_is_zero_and_one(tmp_path):
    Pillow.fromarray(np.eye(9, dtype=bool)).save(tmp_path / "a.bmp")
    info, pixels = read(tmp_path / "a.bmp")
    assert info.channels == 1
    np.testing.assert_array_equal(pixels.values[..., 0], np.eye(9))


def test_inks_become_rgb(tmp_path):
    Pillow.new("CMYK", (16, 16), (255, 0, 0, 0)).save(tmp_path / "a.jpg", quality=100)
    info, pixels = read(tmp_path / "a.jpg")
    assert info.channels == 3
    assert np.abs(pixels.values.astype(int) - [0, 255, 255]).max() <= 2


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy", "a.zarr", "a.JPEG", "a", "a.txt"])
def test_first_bytes_decide_where_the_suffix_lies(tmp_path, name):
    Pillow.fromarray(noise(8, 9, 3)).save(tmp_path / name, format="JPEG")
    info, _ = read(tmp_path / name)
    assert info.shape == (8, 9)


@pytest.mark.parametrize("format", ["TGA", "PPM", "ICO"])
def test_formats_that_are_not_on_the_list_are_refused(tmp_path, format):
    Pillow.fromarray(noise(8, 9, 3)).save(tmp_path / "a.jpg", format=format)
    with pytest.raises(SourceError, match=r"a\.jpg.*no JPEG, WebP, BMP or GIF"):
        read(tmp_path / "a.jpg")


def test_a_url_reads_the_same(tmp_path):
    Pillow.fromarray(noise(8, 9, 3)).save(tmp_path / "a.bmp")
    fsspec.filesystem("memory").pipe("/test-raster/a.bmp", (tmp_path / "a.bmp").read_bytes())
    info, pixels = read("memory://test-raster/a.bmp")
    np.testing.assert_array_equal(pixels.values, noise(8, 9, 3))
    assert info.shape == (8, 9)


def test_a_changed_file_is_decoded_again(tmp_path):
    Pillow.new("L", (4, 4), 1).save(tmp_path / "a.bmp")
    image = open_image(str(tmp_path / "a.bmp"))
    assert (image.read(Box.whole((4, 4))).values == 1).all()
    Pillow.new("L", (4, 4), 2).save(tmp_path / "a.bmp")
    os.utime(tmp_path / "a.bmp", (0, 0))
    assert (image.read(Box.whole((4, 4))).values == 2).all()


def test_boxes_of_one_picture_decode_it_once(tmp_path, monkeypatch):
    Pillow.fromarray(noise(64, 64, 3)).save(tmp_path / "a.bmp")
    image = open_image(str(tmp_path / "a.bmp"))
    loads, load = [], type(image).load
    monkeypatch.setattr(type(image), "load", lambda self: loads.append(1) or load(self))
    for row in range(0, 64, 16):
        image.read(Box((row, 0), (row + 16, 64)))
    assert len(loads) == 1


def test_writing_into_what_was_read_leaves_the_picture_as_it_is(tmp_path):
    Pillow.new("L", (4, 4), 1).save(tmp_path / "a.bmp")
    image = open_image(str(tmp_path / "a.bmp"))
    image.read(Box.whole((4, 4))).values[:] = 9
    assert (image.read(Box.whole((4, 4))).values == 1).all()
