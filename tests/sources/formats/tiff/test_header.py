"""TIFF: axes, series and levels, missing data, scale and place."""

import numpy as np
import pytest
import tifffile
from chunkmeans.image.grid import Box
from chunkmeans.sources.base import ReadOptions
from chunkmeans.sources.formats.tiff.image import TiffImage

from tests.sources.tiff_files import GREY, RGB, drawn, read, refusal

# -- axes, series, levels --------------------------------------------------------------------


def test_pages_of_equal_shape_are_a_volume(tmp_path):
    path = tmp_path / "stack.tif"
    values = drawn((5, 9, 13), "uint8")
    with tifffile.TiffWriter(path) as writer:
        for page in values:
            writer.write(page, contiguous=False, metadata=None, **GREY)
    assert TiffImage(str(path)).info.axes == "zyx"
    np.testing.assert_array_equal(read(path)[..., 0], values)


@pytest.mark.parametrize(
    ("odd", "name"),
    [
        ({"predictor": True}, "Predictor is 2, not 1"),
        ({"photometric": "miniswhite"}, "PhotometricInterpretation is 0, not 1"),
        ({"dtype": "int16"}, "SampleFormat is 2, not 1"),
        ({"compression": "lzw"}, "Compression is 5, not 8"),
    ],
)
def test_a_page_that_is_stored_otherwise_than_the_first_is_refused(tmp_path, odd, name):
    path = tmp_path / "stack.tif"
    values = drawn((9, 16, 16), "uint16")  # tifffile itself compares the first, eighth and last
    with tifffile.TiffWriter(path) as writer:
        for i, page in enumerate(values):
            how = {"compression": "zlib", "contiguous": False, "metadata": None, **GREY}
            how |= odd if i == 3 else {}
            writer.write(page.astype(how.pop("dtype", "uint16")), **how)
    message = refusal(path)
    assert "page 3" in message
    assert name in message


def test_axes_overrule_what_the_file_says(tmp_path):
    path = tmp_path / "bands.tif"
    values = drawn((9, 13, 6), "uint16")
    tifffile.imwrite(path, values, metadata=None, **GREY)  # nine pages of 13 x 6
    np.testing.assert_array_equal(read(path, axes="yxc"), values)
    np.testing.assert_array_equal(read(path, axes="yxc", channels=(5, 1)), values[..., [5, 1]])
    image = TiffImage(str(path), ReadOptions(axes="yxs"))
    box = Box((2, 3), (7, 11))
    np.testing.assert_array_equal(image.read(box).values, values[2:7, 3:11])
    assert TiffImage(str(path)).info.axes == "zyx"


def test_samples_can_be_another_axis(tmp_path):
    path = tmp_path / "planes.tif"
    values = drawn((5, 9, 13), "uint16")
    tifffile.imwrite(path, values, planarconfig="separate", metadata=None, **GREY)
    np.testing.assert_array_equal(read(path, axes="zyx")[..., 0], values)
    np.testing.assert_array_equal(read(path), np.moveaxis(values, 0, -1))
    image = TiffImage(str(path), ReadOptions(axes="tyx"))
    assert image.info.axes == "tyx"
    np.testing.assert_array_equal(
        image.read(Box((1, 2, 3), (4, 5, 6))).values[..., 0], values[1:4, 2:5, 3:6]
    )


@pytest.mark.parametrize("axes", ["yx", "zzyx", "zyq", "zcx"])
def test_axes_that_do_not_fit_are_an_error_that_shows_the_shape(tmp_path, axes):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, drawn((5, 9, 13), "uint8"), metadata=None, **GREY)
    message = refusal(path, axes=axes)
    assert repr(axes) in message
    assert "(5, 9, 13)" in message


def test_axes_that_are_not_clear_are_refused_with_what_to_do(tmp_path):
    path = tmp_path / "unclear.tif"
    tifffile.imwrite(path, drawn((3, 4, 9, 13), "uint8"), **GREY)
    assert "set `axes:`" in refusal(path)
    np.testing.assert_array_equal(read(path, axes="tzyx").shape, (3, 4, 9, 13, 1))


def test_channels_that_are_pages_and_samples_are_flattened(tmp_path):
    path = tmp_path / "both.ome.tif"
    values = drawn((2, 9, 13, 3), "uint8")
    tifffile.imwrite(path, values, metadata={"axes": "CYXS"}, **RGB)
    expected = np.moveaxis(values, 0, -2).reshape(9, 13, 6)
    np.testing.assert_array_equal(read(path), expected)
    np.testing.assert_array_equal(read(path, channels=(4, 0)), expected[..., [4, 0]])


def test_series_of_a_file_are_chosen_by_number(tmp_path):
    path = tmp_path / "two.tif"
    first, second = drawn((9, 13), "uint8"), drawn((5, 6, 3), "uint16", 1)
    with tifffile.TiffWriter(path) as writer:
        writer.write(first, **GREY)
        writer.write(second, **RGB)
    np.testing.assert_array_equal(read(path)[..., 0], first)
    np.testing.assert_array_equal(read(path, series=1), second)
    assert "series 2 is chosen, the file has 2 images" in refusal(path, series=2)


@pytest.mark.parametrize("way", ["subifds", "pages", "ome"])
def test_levels_of_a_pyramid_are_chosen_by_number(tmp_path, way):
    path = tmp_path / ("pyramid.ome.tif" if way == "ome" else "pyramid.tif")
    base = drawn((64, 96, 3), "uint8")
    how = {"tile": (16, 16), "compression": "zlib", **RGB}
    how |= {} if way == "ome" else {"metadata": None}
    with tifffile.TiffWriter(path) as writer:
        writer.write(base, **how, **({} if way == "pages" else {"subifds": 2}))
        for step in (2, 4):
            writer.write(base[::step, ::step], subfiletype=1, **how)
    for level, step in enumerate((1, 2, 4)):
        np.testing.assert_array_equal(read(path, level=level), base[::step, ::step])
    assert "level 3 is chosen, the file has 3 levels" in refusal(path, level=3)


def test_a_multi_file_ome_set_is_one_image_and_a_lost_file_an_error(tmp_path):
    values = drawn((3, 9, 13), "uint16")
    names = [f"z{i}.ome.tif" for i in range(3)]
    planes = "".join(
        f'<TiffData FirstZ="{i}" IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{i}</UUID>'
        "</TiffData>"
        for i, name in enumerate(names)
    )
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:0">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" '
        'SizeX="13" SizeY="9" SizeZ="3" SizeC="1" SizeT="1" PhysicalSizeX="0.5" '
        f'PhysicalSizeY="0.25" PhysicalSizeZ="2">{planes}</Pixels></Image></OME>'
    )
    for i, name in enumerate(names):
        text = xml if i == 0 else "another"
        order = ">" if i == 1 else "<"
        tifffile.imwrite(
            tmp_path / name, values[i], description=text, byteorder=order, metadata=None, **GREY
        )
    image = TiffImage(str(tmp_path / names[0]))
    assert image.info.axes == "zyx"
    assert image.info.pixel_size == (2.0, 0.25, 0.5)
    np.testing.assert_array_equal(read(image.path)[..., 0], values)
    before = image.fingerprint()
    tifffile.imwrite(tmp_path / names[2], values[2] + 1, metadata=None, **GREY)
    assert image.fingerprint() != before
    (tmp_path / names[1]).unlink()
    assert "z1.ome.tif" in refusal(image.path)


# -- missing data, masks, scale, place -------------------------------------------------------


def test_nodata_is_there_only_with_its_tag(tmp_path):
    values = drawn((9, 13), "int16")
    plain, tagged = tmp_path / "plain.tif", tmp_path / "tagged.tif"
    tifffile.imwrite(plain, values, **GREY)
    tifffile.imwrite(tagged, values, extratags=[(42113, "s", 0, "-9999", True)], **GREY)
    assert TiffImage(str(plain)).info.nodata == ()
    assert TiffImage(str(tagged)).info.nodata == (-9999,)


def test_nodata_of_a_palette_masks_the_colour(tmp_path):
    path = tmp_path / "palette.tif"
    index = drawn((9, 13), "uint8")
    missing = int(index[0, 0])
    colormap = np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1))
    tags = [(42113, "s", 0, str(missing), True)]
    tifffile.imwrite(path, index, photometric="palette", colormap=colormap, extratags=tags)
    image = TiffImage(str(path))
    assert image.info.nodata == ()
    assert image.info.alpha
    np.testing.assert_array_equal(image.read(Box.whole((9, 13))).valid, index != missing)


def test_an_inner_mask_page_masks(tmp_path, picture):
    path = tmp_path / "masked.tif"
    mask = drawn((20, 30), "bool")
    with tifffile.TiffWriter(path) as writer:
        writer.write(picture, metadata=None, tile=(16, 16), **RGB)
        writer.write(mask, metadata=None, photometric="mask", subfiletype=4, compression="zlib")
    image = TiffImage(str(path))
    pixels = image.read(Box((1, 2), (18, 29)))
    np.testing.assert_array_equal(pixels.values, picture[1:18, 2:29])
    np.testing.assert_array_equal(pixels.valid, mask[1:18, 2:29])
    assert "1 images" in refusal(path, series=1)


def test_an_inner_mask_of_another_shape_is_a_warning(tmp_path, picture):
    path = tmp_path / "masked.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(picture, metadata=None, **RGB)
        writer.write(drawn((7, 7), "bool"), metadata=None, photometric="mask", subfiletype=4)
    image = TiffImage(str(path))
    assert not image.info.alpha
    assert "(7, 7)" in image.info.warnings[0]


def test_pixel_sizes_of_resolution_and_imagej_are_carried(tmp_path):
    inch, fiji = tmp_path / "inch.tif", tmp_path / "fiji.tif"
    values = drawn((4, 9, 13), "uint8")
    tifffile.imwrite(inch, values[0], resolution=(254, 508), resolutionunit="inch", **GREY)
    info = TiffImage(str(inch)).info
    assert info.pixel_size == (50.0, 100.0)
    assert info.units == ("micrometer", "micrometer")
    metadata = {"axes": "ZYX", "spacing": 3.0, "unit": "um"}
    tifffile.imwrite(fiji, values, imagej=True, resolution=(2, 4), metadata=metadata)
    info = TiffImage(str(fiji)).info
    assert info.pixel_size == (3.0, 0.25, 0.5)
    assert info.units == ("micrometer",) * 3


def test_ome_names_and_sizes_are_carried(tmp_path):
    path = tmp_path / "named.ome.tif"
    metadata = {
        "axes": "CYX",
        "Channel": {"Name": ["DAPI", "GFP"]},
        "PhysicalSizeX": 0.5,
        "PhysicalSizeY": 0.25,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeYUnit": "nm",
    }
    values = drawn((2, 9, 13), "uint8")
    tifffile.imwrite(path, values, metadata=metadata, **GREY)
    info = TiffImage(str(path)).info
    assert info.channel_names == ("DAPI", "GFP")
    assert info.pixel_size == (0.25, 0.5)
    assert info.units == ("nanometer", "nanometer")
    np.testing.assert_array_equal(read(path, channels=("GFP",))[..., 0], values[1])


def test_georeferencing_is_carried_as_json_values(tmp_path):
    path = tmp_path / "scene.tif"
    tags = [
        (33550, "d", 3, (30.0, 20.0, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, 5e5, 4e6, 0.0), True),
        (34735, "H", 8, (1, 1, 0, 1, 3076, 0, 1, 9001), True),
    ]
    tifffile.imwrite(path, drawn((9, 13), "uint8"), extratags=tags, **GREY)
    info = TiffImage(str(path)).info
    assert info.tags["ModelPixelScaleTag"] == [30.0, 20.0, 0.0]
    assert info.tags["ModelTiepointTag"] == [0.0, 0.0, 0.0, 5e5, 4e6, 0.0]
    assert info.tags["GeoKeyDirectoryTag"] == [1, 1, 0, 1, 3076, 0, 1, 9001]
    assert info.pixel_size == (20.0, 30.0)
    assert info.units == ("meter", "meter")
