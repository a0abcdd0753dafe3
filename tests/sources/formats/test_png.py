import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from chunkmeans.errors import SourceError
from chunkmeans.image.grid import Box
from chunkmeans.sources import ReadOptions, open_image
from chunkmeans.testing import FileSourceTests
from PIL import Image as Pillow


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, depth, colour, rows, *, before=b"", after=b""):
    """A PNG whose `rows` are given as packed bytes."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    body = chunk(b"IHDR", header) + before + chunk(b"IDAT", pixels) + after + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def read(path):
    image = open_image(str(path))
    return image.info, image.read(Box.whole(image.info.shape))


class Png(FileSourceTests):
    def write(self, folder, values):
        path = folder / "picture.png"
        path.write_bytes(
            imagecodecs.png_encode(values.squeeze(-1) if self.channels == 1 else values)
        )
        return str(path)


class TestColour(Png):
    pass


class TestGrey(Png):
    channels = 1


class TestColourOf16Bits(Png):
    dtype = "uint16"


class TestGreyOf16Bits(Png):
    channels = 1
    dtype = "uint16"


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_grey_of_few_bits_keeps_its_numbers(tmp_path, depth):
    row = bytes([0b11_10_01_00])
    values = [
        int(b)
        for b in np.unpackbits(np.frombuffer(row, "u1")).reshape(-1, depth)
        @ (2 ** np.arange(depth)[::-1])
    ]
    (tmp_path / "a.png").write_bytes(png(8 // depth, 1, depth, 0, [row]))
    info, pixels = read(tmp_path / "a.png")
    assert (info.channels, info.dtype) == (1, np.uint8)
    assert pixels.values.ravel().tolist() == values


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_transparent_grey_masks_whatever_the_depth(tmp_path, depth):
    top = 2**depth - 1
    bits = "".join(f"{v:0{depth}b}" for v in [0, top] * 4)
    row = int(bits, 2).to_bytes(depth, "big")
    transparent = chunk(b"tRNS", struct.pack(">H", top))
    (tmp_path / "a.png").write_bytes(png(8, 1, depth, 0, [row], before=transparent))
    info, pixels = read(tmp_path / "a.png")
    assert info.alpha
    assert info.channels == 1
    assert pixels.values.ravel().tolist() == [0, top] * 4
    assert pixels.valid.ravel().tolist() == [True, False] * 4


@pytest.mark.parametrize("depth", [8, 16])
def test_a_transparent_colour_masks_only_where_all_channels_match(tmp_path, depth):
    one = depth // 8
    row = b"".join(v.to_bytes(one, "big") for v in [1, 2, 3, 1, 2, 4])
    transparent = chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3))
    (tmp_path / "a.png").write_bytes(png(2, 1, depth, 2, [row], before=transparent))
    _, pixels = read(tmp_path / "a.png")
    assert pixels.values.tolist() == [[[1, 2, 3], [1, 2, 4]]]
    assert pixels.valid.tolist() == [[False, True]]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_alpha_masks_where_it_is_zero_and_is_no_channel(tmp_path, dtype, channels):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 255, (6, 7, channels + 1), dtype=dtype)
    values[..., -1] = rng.integers(0, 3, (6, 7))
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(values))
    info, pixels = read(tmp_path / "a.png")
    assert (info.channels, info.alpha) == (channels, True)
    np.testing.assert_array_equal(pixels.values, values[..., :-1])
    np.testing.assert_array_equal(pixels.valid, values[..., -1] > 0)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_palette_becomes_rgb_and_its_alpha_masks(tmp_path, depth):
    palette = chunk(b"PLTE", bytes([10, 20, 30, 40, 50, 60])) + chunk(b"tRNS", bytes([255, 0]))
    row = int(f"{1:0{depth}b}" + f"{0:0{depth}b}" * (8 // depth - 1), 2).to_bytes(1, "big")
    width = 8 // depth
    (tmp_path / "a.png").write_bytes(png(width, 1, depth, 3, [row], before=palette))
    info, pixels = read(tmp_path / "a.png")
    assert (info.channels, info.alpha) == (3, True)
    assert pixels.values[0].tolist() == [[40, 50, 60]] + [[10, 20, 30]] * (width - 1)
    assert pixels.valid[0].tolist() == [False] + [True] * (width - 1)


@pytest.mark.parametrize("place", ["before", "after"])
def test_exif_orientation_is_applied_wherever_it_stands(tmp_path, place):
    exif = Pillow.Exif()
    exif[274] = 6
    body = chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    rows = [bytes([1, 2, 3]), bytes([4, 5, 6])]
    (tmp_path / "a.png").write_bytes(png(3, 2, 8, 0, rows, **{place: body}))
    info, pixels = read(tmp_path / "a.png")
    assert info.shape == (3, 2)
    assert pixels.values[..., 0].tolist() == [[4, 1], [5, 2], [6, 3]]


def test_broken_exif_is_a_warning(tmp_path):
    body = chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff")
    (tmp_path / "a.png").write_bytes(png(1, 1, 8, 0, [b"\7"], before=body))
    info, pixels = read(tmp_path / "a.png")
    assert pixels.values.ravel().tolist() == [7]
    assert info.warnings == () or "EXIF" in info.warnings[0]


def test_a_flipped_bit_in_the_pixels_is_an_error(tmp_path):
    data = bytearray(png(9, 9, 8, 0, [bytes(range(9))] * 9))
    data[data.index(b"IDAT") + 9] ^= 1
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(SourceError, match=r"a\.png.*'IDAT'.*checksum"):
        read(tmp_path / "a.png")


def test_a_header_that_promises_absurdly_many_pixels_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(png(2**20, 2**13, 8, 0, [b""]))
    with pytest.raises(SourceError, match=r"a\.png.*1048576 x 8192 .* 8,589,934,592.*limits"):
        _ = open_image(str(tmp_path / "a.png")).info


@pytest.mark.filterwarnings("error")
def test_a_large_honest_header_is_not_pillow_s_business(tmp_path):
    (tmp_path / "a.png").write_bytes(png(30_000, 30_000, 8, 0, [b""]))
    assert open_image(str(tmp_path / "a.png")).info.pixels == 900_000_000


@pytest.mark.parametrize(("depth", "colour"), [(3, 0), (16, 3), (4, 2), (8, 5)])
def test_a_depth_that_png_does_not_know_is_an_error(tmp_path, depth, colour):
    (tmp_path / "a.png").write_bytes(png(1, 1, depth, colour, [b"\0"]))
    with pytest.raises(SourceError, match=rf"colour type {colour} of {depth} bits"):
        _ = open_image(str(tmp_path / "a.png")).info


def test_an_animated_png_warns_that_only_its_still_picture_is_read(tmp_path):
    frames = [Pillow.new("L", (4, 4), v) for v in (1, 2)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    info, pixels = read(tmp_path / "a.png")
    assert "2 frames" in info.warnings[0]
    assert (pixels.values == 1).all()
    with pytest.raises(SourceError, match=r"images\.series is 1.*no series"):
        _ = open_image(str(tmp_path / "a.png"), ReadOptions(series=1)).info
