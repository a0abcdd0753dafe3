"""Missing data, scales and names as the tags of a TIFF tell them."""

import math

import numpy as np
import pytest
from chunkmeans.sources.formats.tiff import tags as geotags


class Tags(dict):
    """Stands for tifffile's tags: values by number."""

    def valueof(self, code: int) -> object:
        return self.get(code)


@pytest.mark.parametrize(
    ("text", "dtype", "expected"),
    [
        ("0", "u1", 0),
        ("-9999", "i2", -9999),
        ("-9999", "u1", None),
        ("255.0", "u1", 255),
        ("1.5", "i4", None),
        ("18446744073709551615", "u8", 2**64 - 1),
        ("-3.4e+38", "f4", float(np.float32(-3.4e38))),
        ("-3.40282346700000e+38", "f4", float(np.finfo("f4").min)),
        ("1e999", "f4", math.inf),
        (" 7\0", "u2", 7),
        ("0,5", "f8", 0.5),
    ],
)
def test_nodata_is_what_a_pixel_of_the_type_would_be(text, dtype, expected):
    assert geotags.gdal_nodata(text, np.dtype(dtype)) == expected


def test_nodata_may_be_nan_of_floats_and_no_integer_is():
    assert math.isnan(geotags.gdal_nodata("nan", np.dtype("f4")))
    assert geotags.gdal_nodata("nan", np.dtype("u1")) is None


def test_nodata_that_is_no_number_is_a_value_error():
    for dtype in ("u1", "f4"):
        with pytest.raises(ValueError, match="none"):
            geotags.gdal_nodata("none", np.dtype(dtype))


def test_scale_comes_from_the_matrix_unless_it_is_rotated():
    matrix = [3.0, 0, 0, 0, 0, -2.0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert geotags.geo_scale(Tags({34264: matrix})) == {"y": (2.0, ""), "x": (3.0, "")}
    matrix[1] = 0.5
    assert geotags.geo_scale(Tags({34264: matrix})) == {}


@pytest.mark.parametrize(("code", "unit"), [(9001, "meter"), (9002, "foot"), (9102, "")])
def test_the_unit_of_projected_coordinates_is_told_in_words(code, unit):
    tags = Tags({33550: (3.0, 2.0, 0.0), 34735: (1, 1, 0, 1, 3076, 0, 1, code)})
    assert geotags.geo_scale(tags) == {"y": (2.0, unit), "x": (3.0, unit)}


def test_a_resolution_without_a_unit_is_no_scale():
    tags = Tags({282: (72, 1), 283: (72, 1), 296: 1})
    assert geotags.resolution_scale(tags) == {}
    tags[296] = 3
    assert geotags.resolution_scale(tags)["x"] == (pytest.approx(10000 / 72), "micrometer")
    tags[282] = (0, 1)
    assert geotags.resolution_scale(tags) == {}


def test_tags_are_carried_as_json_values():
    tags = Tags({33550: (1.0, math.nan), 34735: np.array([1, 2]), 42113: "7", 34737: b"a|"})
    assert geotags.carried(tags) == {
        "ModelPixelScaleTag": [1.0, "nan"],
        "GeoKeyDirectoryTag": [1, 2],
        "GDAL_NODATA": "7",
        "GeoAsciiParamsTag": "a|",
    }


def test_bands_have_names_only_if_each_has_one():
    item = '<Item name="DESCRIPTION" sample="{}" role="description">{}</Item>'
    both = f"<GDALMetadata>{item.format(0, 'red')}{item.format(1, 'nir')}</GDALMetadata>"
    assert geotags.band_names(both, 2) == ("red", "nir")
    assert geotags.band_names(both, 3) == ()
    assert geotags.band_names("<broken", 2) == ()
