"""What every source promises, as test classes to inherit.

The tests of a source inherit `FileSourceTests` (or `SourceTests`, where there is no file), state in
`write` how an array is written, and may set `shape`, `channels` and `dtype`::

    from chunkmeans.testing import FileSourceTests

    class TestTiledTiff(FileSourceTests):
        shape = (5, 37, 53)

        def write(self, folder, values):
            path = folder / "image.tif"
            tifffile.imwrite(path, values, tile=(16, 16))
            return str(path)

`write` must be lossless. One class per way of storing: the laws below hold for each.
"""

import os
import pickle
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from chunkmeans.errors import SourceError
from chunkmeans.image.grid import Box
from chunkmeans.sources import Image, ReadOptions, open_image

_AXES = {2: "yx", 3: "zyx", 4: "tzyx"}


def _drawn_boxes(shape: tuple[int, ...], count: int = 12) -> Iterator[Box]:
    """Yield the whole, a corner pixel at each end, and `count` random boxes inside `shape`."""
    yield Box.whole(shape)
    yield Box((0,) * len(shape), (1,) * len(shape))
    yield Box(tuple(n - 1 for n in shape), shape)
    rng = np.random.default_rng(0)
    for _ in range(count):
        ends = [sorted(rng.choice(n + 1, 2, replace=False).tolist()) for n in shape]
        yield Box(tuple(a for a, _ in ends), tuple(b for _, b in ends))


class SourceTests:
    """Laws of every source, files or not."""

    shape: ClassVar[tuple[int, ...]] = (37, 53)
    """Pixels along the axes of the written image, without its channels."""
    channels: ClassVar[int] = 3
    """Numbers per pixel."""
    dtype: ClassVar[str] = "uint8"
    """Type of the written numbers, with their byte order."""

    # -- what the tests of a source state -----------------------------------------------------

    def write(self, folder: Path, values: NDArray[Any]) -> Any:
        """Write `values`, shape + (channels,), without loss; return what `open` takes."""
        raise NotImplementedError

    def open(self, written: Any, **options: Any) -> Image:
        """Open what `write` returned."""
        return open_image(written, ReadOptions(**options))

    # -- what is the same for all -------------------------------------------------------------

    def draw(self, seed: int = 0) -> NDArray[Any]:
        """Random numbers over much of the dtype's range, shape + (channels,), in its byte order."""
        rng, dtype = np.random.default_rng(seed), np.dtype(self.dtype)
        size = (*self.shape, self.channels)
        if dtype.kind == "f":
            return rng.normal(scale=100, size=size).astype(dtype)
        if dtype.kind == "b":
            return rng.integers(0, 2, size=size).astype(dtype)
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        return rng.integers(low, high, size=size, endpoint=True, dtype=dtype.newbyteorder("="))

    @pytest.fixture
    def values(self) -> NDArray[Any]:
        """Return the numbers that are written."""
        return self.draw()

    @pytest.fixture
    def expected(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the values as an image shows them: machine byte order, bool as uint8."""
        dtype = np.dtype(self.dtype)
        return values.astype("uint8" if dtype.kind == "b" else dtype.newbyteorder("="))

    @pytest.fixture
    def written(self, tmp_path: Path, values: NDArray[Any]) -> Any:
        """Return what `open` takes."""
        return self.write(tmp_path, values)

    @pytest.fixture
    def image(self, written: Any) -> Image:
        """Return the image that was written."""
        return self.open(written)

    def test_info_is_what_was_written(self, image: Image, expected: NDArray[Any]) -> None:
        info = image.info
        assert info.axes == _AXES[len(self.shape)]
        assert info.shape == self.shape
        assert info.channels == self.channels
        assert info.dtype == expected.dtype
        assert info.dtype.isnative
        assert len(info.chunks) == len(self.shape)
        assert all(1 <= c <= n for c, n in zip(info.chunks, self.shape, strict=True))
        assert info.warnings == ()

    def test_info_decodes_no_pixels(self, image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            pytest.fail("info decoded pixels")

        monkeypatch.setattr(type(image), "decode", refuse)
        assert image.info.pixels == np.prod(self.shape)

    def test_any_box_equals_the_slice_of_what_was_written(
        self, image: Image, expected: NDArray[Any]
    ) -> None:
        for box in _drawn_boxes(self.shape):
            pixels = image.read(box)
            assert pixels.values.dtype == expected.dtype
            np.testing.assert_array_equal(pixels.values, expected[box.slices], err_msg=str(box))
            if pixels.valid is not None:
                assert pixels.valid.shape == box.shape
                assert pixels.valid.all()

    def test_a_box_that_leaves_the_image_is_an_error(self, image: Image) -> None:
        beyond = Box((0,) * len(self.shape), (*self.shape[:-1], self.shape[-1] + 1))
        with pytest.raises(SourceError) as error:
            image.read(beyond)
        assert str(error.value).startswith(image.path)
        assert str(beyond) in str(error.value)

    @pytest.mark.parametrize("used", [False, True], ids=["unused", "after reading"])
    def test_a_pickled_image_reads_the_same(
        self, image: Image, expected: NDArray[Any], used: bool
    ) -> None:
        whole = Box.whole(self.shape)
        if used:
            image.read(whole)
        copy = pickle.loads(pickle.dumps(image))
        assert type(copy) is type(image)
        assert copy.info == image.info
        np.testing.assert_array_equal(copy.read(whole).values, expected)

    def test_threads_read_the_same(self, image: Image, expected: NDArray[Any]) -> None:
        boxes = list(_drawn_boxes(self.shape)) * 2
        with ThreadPoolExecutor(4) as pool:
            blocks = list(pool.map(lambda box: image.read(box).values, boxes))
        for box, block in zip(boxes, blocks, strict=True):
            np.testing.assert_array_equal(block, expected[box.slices], err_msg=str(box))

    def test_a_region_is_an_image_of_its_own(self, written: Any, expected: NDArray[Any]) -> None:
        region = tuple((n // 4, n - n // 5) for n in self.shape)
        image = self.open(written, region=region)
        inside = expected[tuple(slice(a, b) for a, b in region)]
        assert image.info.shape == inside.shape[:-1]
        for box in _drawn_boxes(image.info.shape, 4):
            np.testing.assert_array_equal(image.read(box).values, inside[box.slices])

    def test_channels_come_in_the_asked_order(self, written: Any, expected: NDArray[Any]) -> None:
        asked = tuple(reversed(range(self.channels)))[:2]
        image = self.open(written, channels=asked)
        assert image.info.channels == len(asked)
        for box in _drawn_boxes(self.shape, 4):
            np.testing.assert_array_equal(
                image.read(box).values, expected[box.slices][..., list(asked)]
            )

    def test_a_channel_out_of_range_is_an_error(self, written: Any) -> None:
        image = self.open(written, channels=(self.channels + 70,))
        with pytest.raises(SourceError) as error:
            image.read(Box.whole(self.shape))
        assert str(error.value).startswith(image.path)
        assert str(self.channels + 70) in str(error.value)
        assert f"0 to {self.channels - 1}" in str(error.value)

    def test_a_region_out_of_range_is_an_error(self, written: Any) -> None:
        beyond = (0, self.shape[-1] + 70)
        image = self.open(written, region=((None, None),) * (len(self.shape) - 1) + (beyond,))
        with pytest.raises(SourceError) as error:
            image.read(Box.whole(self.shape))
        assert str(error.value).startswith(image.path)
        assert f"0:{beyond[1]}" in str(error.value)
        assert f"0:{self.shape[-1]}" in str(error.value)

    def test_the_fingerprint_stays_while_the_content_does(self, written: Any) -> None:
        first = self.open(written)
        before = first.fingerprint()
        first.read(Box.whole(self.shape))
        assert first.fingerprint() == before
        assert self.open(written).fingerprint() == before
        assert pickle.loads(pickle.dumps(first)).fingerprint() == before

    def test_the_fingerprint_changes_with_the_content(self, written: Any, tmp_path: Path) -> None:
        before = self.open(written).fingerprint()
        other = self.write(tmp_path, self.draw(seed=1))
        assert self.open(other).fingerprint() != before


class FileSourceTests(SourceTests):
    """Laws of the sources that read a file or a folder; `write` returns its path."""

    def pixel_files(self, written: str) -> list[Path]:
        """Return the files that hold pixels: the image itself, or the chunks in its folder."""
        return [Path(written)]

    def test_a_pickle_is_a_name_and_not_the_pixels(self, image: Image) -> None:
        image.read(Box.whole(self.shape))
        assert len(pickle.dumps(image)) < 3000

    def test_a_missing_file_is_an_error_that_names_it(self, written: str) -> None:
        path = Path(written)
        known = self.open(written)
        shape = known.info.shape
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        with pytest.raises(SourceError, match=path.name):
            _ = self.open(written).info
        with pytest.raises(SourceError, match=path.name):
            known.read(Box.whole(shape))

    @pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.999])
    def test_a_truncated_file_is_an_error_that_names_it_or_reads_the_same(
        self, written: str, expected: NDArray[Any], share: float
    ) -> None:
        promised = self.open(written).info
        for path in self.pixel_files(written):
            os.truncate(path, int(path.stat().st_size * share))
        reason, read = "", None
        try:
            image = self.open(written)
            assert image.info == promised
            read = image.read(Box.whole(self.shape)).values
        except SourceError as error:
            reason = str(error)
        if read is None:
            assert Path(written).name in reason
        else:
            assert share > 0.5, "half the pixels are gone, yet there was no error"
            np.testing.assert_array_equal(read, expected)
