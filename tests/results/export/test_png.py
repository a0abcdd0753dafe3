"""Labels as PNG, read again by two other programs."""

import imagecodecs
import numpy as np
import pytest
from chunkmeans.results.export.png import PngExporter
from chunkmeans.testing import ExporterTests
from chunkmeans.testing.exporters import label_example
from PIL import Image


class TestPngExporter(ExporterTests):
    @pytest.fixture
    def exporter(self):
        return PngExporter()

    def read_labels(self, path):
        with Image.open(path) as picture:
            return np.asarray(picture)


@pytest.mark.parametrize("k", [1, 5, 255])
def test_a_viewer_shows_the_colours_and_nothing_where_there_are_no_data(tmp_path, k):
    view = label_example((40, 30), k)
    PngExporter().export(view, tmp_path / "a.png")
    expected = view.colours[np.asarray(view.array[...])]
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "P"
        np.testing.assert_array_equal(np.asarray(picture.convert("RGBA")), expected)
    decoded = imagecodecs.png_decode((tmp_path / "a.png").read_bytes())
    np.testing.assert_array_equal(decoded, expected)


@pytest.mark.parametrize("k", [256, 65535])
def test_more_labels_than_a_palette_holds_are_16_bit_grey(tmp_path, k):
    view = label_example((40, 30), k)
    PngExporter().export(view, tmp_path / "a.png")
    decoded = imagecodecs.png_decode((tmp_path / "a.png").read_bytes())
    assert decoded.dtype == np.uint16
    np.testing.assert_array_equal(decoded, view.array[...])
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "I;16"


def test_pixels_are_written_in_parts(tmp_path):
    view = label_example((1500, 2000), 65535)  # noise: 6 MB that do not get smaller
    PngExporter().export(view, tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    assert content.count(b"IDAT") >= 4
    with Image.open(tmp_path / "a.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), view.array[...])
