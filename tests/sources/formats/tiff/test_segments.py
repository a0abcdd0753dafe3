"""Tiles and strips: a box decodes what it touches, each once, and nothing that cannot be true."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from chunkmeans.errors import SourceError
from chunkmeans.image.grid import Box
from chunkmeans.sources.base import ReadOptions
from chunkmeans.sources.formats.tiff import segments as module
from chunkmeans.sources.formats.tiff.image import TiffImage
from chunkmeans.sources.formats.tiff.segments import Segments, joined_strips
from hypothesis import given, settings
from hypothesis import strategies as st


def table(
    shaped: tuple[int, int, int, int, int] = (1, 1, 40, 50, 3),
    segment: tuple[int, int, int] = (1, 16, 16),
    tiled: bool = True,
    pages: int = 2,
    **changes: object,
) -> Segments:
    """Tables of uncompressed bytes that lie one after the other, 1,000 bytes in."""
    made = Segments(
        files=("a.tif",),
        file_of=np.zeros(pages, np.int64),
        offsets=np.zeros((pages, 1), np.int64),
        counts=np.zeros((pages, 1), np.int64),
        shaped=shaped,
        segment=segment,
        tiled=tiled,
        dtype=np.dtype("u1"),
        decoders=(lambda *_: None,),
        compression=1,
        bits=8,
        lying=np.dtype("u1"),
    )
    counts = np.tile(made.expected_bytes(), (pages, 1))
    ends = np.cumsum(counts).reshape(counts.shape)
    return replace(made, offsets=1000 + ends - counts, counts=counts, **changes)


@settings(deadline=None)
@given(data=st.data())
def test_a_box_touches_each_segment_that_shares_a_pixel_with_it_once(data):
    shape = data.draw(st.tuples(*[st.integers(1, 9)] * 3))
    segment = data.draw(st.tuples(*[st.integers(1, 5)] * 3))
    made = table(shaped=(2, *shape, 1), segment=segment)
    ends = [sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2))) for n in shape]
    box = Box(tuple(a for a, _ in ends), tuple(b for _, b in ends))

    owner = np.arange(int(np.prod(made.grid))).reshape(made.grid)
    for axis, edge in enumerate(segment):
        owner = owner.repeat(edge, axis)
    expected = Counter(
        (page, sample, sample * int(np.prod(made.grid)) + int(place))
        for page in (0, 1)
        for sample in (1,)
        for place in np.unique(owner[box.slices])
    )
    found = made.touched([0, 1], [1], box)
    assert Counter((t.page, t.sample, t.segment) for t in found) == expected
    covered = np.zeros(shape, int)
    for one in found:
        if one.page == 0:
            covered[one.box.slices] += 1
    inside = np.zeros(shape, int)
    inside[box.slices] = 1
    np.testing.assert_array_equal(covered, inside)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[int, int]]:
    """Counts how often each segment of each page is decoded."""
    counted: Counter[tuple[int, int]] = Counter()
    original = Segments._pixels

    def counting(self: Segments, one: module.Touched, data: bytes) -> object:
        counted[one.page, one.segment] += 1
        return original(self, one, data)

    monkeypatch.setattr(Segments, "_pixels", counting)
    return counted


def test_a_box_decodes_only_the_tiles_it_touches(tmp_path: Path, decoded):
    path = tmp_path / "tiles.tif"
    values = np.zeros((64, 80, 3), np.uint8)  # 4 x 5 tiles
    tifffile.imwrite(path, values, tile=(16, 16), compression="zlib", photometric="rgb")
    TiffImage(str(path)).read(Box((15, 16), (33, 49)))
    assert decoded == Counter((0, 5 * row + column) for row in (0, 1, 2) for column in (1, 2, 3))


def test_a_planar_file_decodes_only_the_asked_channels(tmp_path: Path, decoded):
    path = tmp_path / "planes.tif"
    values = np.zeros((6, 32, 32), np.uint8)  # 4 tiles per plane
    how = {"planarconfig": "separate", "photometric": "minisblack", "compression": "zlib"}
    tifffile.imwrite(path, values, tile=(16, 16), **how)
    TiffImage(str(path), ReadOptions(channels=(4, 1))).read(Box((0, 0), (16, 32)))
    assert decoded == Counter([(0, 4), (0, 5), (0, 16), (0, 17)])


def test_a_volume_decodes_only_the_asked_pages(tmp_path: Path, decoded):
    path = tmp_path / "stack.tif"
    how = {"photometric": "minisblack", "compression": "zlib", "metadata": None}
    tifffile.imwrite(path, np.zeros((6, 32, 32), np.uint8), tile=(16, 16), **how)
    TiffImage(str(path)).read(Box((2, 20, 3), (5, 21, 4)))
    assert decoded == Counter([(2, 2), (3, 2), (4, 2)])


def test_rows_of_an_uncompressed_file_are_read_without_the_rest(tmp_path: Path, monkeypatch):
    path = tmp_path / "one strip.tif"
    values = np.arange(200 * 30, dtype=np.uint16).reshape(200, 30)
    tifffile.imwrite(path, values, photometric="minisblack", rowsperstrip=200)
    asked = []
    original = module.fetching

    def noting(*args: object):
        context = original(*args)

        class Noted:
            def __enter__(self):
                fetch = context.__enter__()
                return lambda ranges: asked.extend(ranges) or fetch(ranges)

            def __exit__(self, *error):
                return context.__exit__(*error)

        return Noted()

    monkeypatch.setattr(module, "fetching", noting)
    pixels = TiffImage(str(path)).read(Box((150, 3), (160, 20)))
    np.testing.assert_array_equal(pixels.values[..., 0], values[150:160, 3:20])
    assert [stop - start for start, stop in asked] == [10 * 30 * 2]


def test_strips_that_follow_each_other_become_one():
    made = table(segment=(1, 7, 50), tiled=False)
    whole = joined_strips(made)
    assert whole.segment == (1, 40, 50)
    assert whole.offsets.tolist() == [[1000], [7000]]
    assert whole.counts.tolist() == [[6000], [6000]]


def test_strips_with_a_gap_between_stay_strips():
    made = table(segment=(1, 7, 50), tiled=False)
    made.offsets[1, 3] += 2
    assert joined_strips(made) is made
    tiles = table()
    assert joined_strips(tiles) is tiles


# -- tables that cannot be true --------------------------------------------------------------


def test_true_tables_are_accepted():
    made = table()
    made.check([int((made.offsets + made.counts).max())])


def test_a_segment_beyond_the_end_is_named_with_both_numbers():
    made = table()
    end = int((made.offsets + made.counts).max())
    with pytest.raises(SourceError, match=rf"tile 11 of page 1 .* {end:,}.* {end - 1:,}"):
        made.check([end - 1])


def test_too_few_segments_are_an_error_with_both_numbers():
    made = table()
    short = replace(made, offsets=made.offsets[:, :9], counts=made.counts[:, :9])
    with pytest.raises(SourceError, match=r"9 offsets .* need 12"):
        short.check([10**6])


@pytest.mark.parametrize(
    ("compression", "count", "possible"),
    [(1, 767, False), (1, 768, True), (8, 1, True), (5, 1, True), (50000, 1, True)],
)
def test_bytes_that_cannot_hold_the_pixels_are_refused(compression, count, possible):
    made = table(compression=compression, lying=None)
    made.counts[0, 0] = count
    if possible:
        made.check([10**6])
    else:
        with pytest.raises(SourceError, match="767 bytes long, which cannot hold the 768 bytes"):
            made.check([10**6])


def test_a_small_deflate_strip_of_gigabytes_is_refused():
    made = table((1, 1, 30_000, 30_000, 1), (1, 30_000, 30_000), tiled=False, pages=1, lying=None)
    made = replace(made, compression=8, counts=np.array([[1000]]))
    with pytest.raises(SourceError, match=r"1,000 bytes long.* 900,000,000"):
        made.check([10**10])


def test_a_compressed_strip_beyond_the_limit_is_refused_with_the_setting_to_change():
    made = table((1, 1, 60_000, 60_000, 1), (1, 60_000, 60_000), tiled=False, pages=1, lying=None)
    with pytest.raises(SourceError, match=r"3,600,000,000.*limits.piece allows 2,147,483,648"):
        replace(made, compression=50000).check([10**10])


def test_a_segment_that_decodes_to_something_else_is_an_error(tmp_path: Path):
    path = tmp_path / "a.tif"
    path.write_bytes(bytes(100_000))
    for wrong, reason in (
        (np.zeros((1, 16, 9, 3), np.uint8), r"decodes to \(1, 16, 9, 3\)"),
        (np.zeros((1, 16, 16, 3), np.uint16), "uint16, the header promises uint8"),
    ):
        made = table(
            files=(str(path),), lying=None, decoders=(lambda *_, wrong=wrong: (wrong, None, None),)
        )
        with pytest.raises(SourceError, match=f"tile 0 of page 0 .*{reason}"):
            made.read([0], [0], Box((0, 0, 0), (1, 16, 16)))


@pytest.fixture
def giants(monkeypatch):
    """Make strips of a few kilobytes giant, and let few rows be read at once."""
    monkeypatch.setattr(module, "GIANT", 1000)
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 1000)


@pytest.mark.parametrize("compression", ["zlib", "lzw"])
def test_a_giant_strip_that_holds_everything_is_decoded_once_for_all_boxes(
    tmp_path, giants, compression
):
    pixels = np.random.default_rng(0).integers(0, 9, (50, 40, 3), np.uint8)
    path = tmp_path / f"{compression}.tif"
    tifffile.imwrite(path, pixels, compression=compression, rowsperstrip=50, photometric="rgb")
    image = TiffImage(str(path), ReadOptions())
    segments = image._header().segments
    decoded = []
    counting = lambda *a, **k: decoded.append(1) or segments.decoders[0](*a, **k)  # noqa: E731
    counted = replace(segments, decoders=(counting,))

    assert image.info.undivided >= pixels.nbytes + path.stat().st_size - 1000
    for box in (Box((0, 0, 0), (1, 20, 40)), Box((0, 20, 7), (1, 50, 9))):
        expected = pixels[box.slices[1:]]
        assert (counted.read([0], [0], box)[0, 0, 0] == expected).all()
        assert (image.read(Box(box.start[1:], box.stop[1:])).values == expected).all()
    assert sum(decoded) <= 1


def test_any_rows_of_a_giant_uncompressed_strip_are_read_a_few_at_a_time(
    tmp_path, giants, monkeypatch
):
    pixels = np.random.default_rng(0).integers(0, 9, (500, 40, 3), np.uint8)
    path = tmp_path / "plain.tif"
    tifffile.imwrite(path, pixels, rowsperstrip=500, photometric="rgb")
    image = TiffImage(str(path), ReadOptions())
    asked = []
    extent = Segments._extent

    def spied(self, one):
        asked.append(extent(self, one))
        return asked[-1]

    monkeypatch.setattr(Segments, "_extent", spied)
    assert (image.info.chunks, image.info.undivided) == ((1, 40), 0)
    assert (image.read(Box((3, 5), (400, 30))).values == pixels[3:400, 5:30]).all()
    assert max(stop - start for start, stop in asked) <= 1000
    assert sum(stop - start for start, stop in asked) == 397 * 120
