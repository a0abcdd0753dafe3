import numpy as np
import pytest
import yaozarrs
import zarr
from chunkmeans.results.store.store import Store
from chunkmeans.results.write.layout import plan_labels
from chunkmeans.results.write.ome_metadata import label_colours, label_metadata
from ome_zarr_models.v05.image import Image
from ome_zarr_models.v05.image_label import ImageLabel

from tests.results.examples import SHAPES, finished, image_info, image_labels, model

PIXEL = {
    "pixel_size": (2.0, 1.5, 0.5, 0.25),
    "units": ("second", "micrometer", "micrometer", "micrometer"),
}


@pytest.mark.parametrize("mean_image", [False, True])
@pytest.mark.parametrize("sized", [False, True])
@pytest.mark.parametrize(("shape", "axes"), SHAPES)
def test_images_are_valid_for_ome_zarr_models_and_yaozarrs(
    tmp_path, shape, axes, sized, mean_image
):
    more = {key: value[-len(axes) :] for key, value in PIXEL.items()} if sized else {}
    if sized and axes == "tyx":
        more["units"] = ("second", "micrometer", "micrometer")
    info = image_info(shape, axes, **more)
    finished(
        Store(str(tmp_path)), info, image_labels(shape), mean_image=mean_image, chunk=4, shard=8
    )
    path = tmp_path / "images" / "a.ome.zarr"
    yaozarrs.validate_zarr_store(str(path))
    label = ImageLabel.from_zarr(zarr.open_group(path, mode="r"))
    assert label.attributes.ome.image_label is not None
    if mean_image:
        yaozarrs.validate_zarr_store(str(path / "mean"))
        Image.from_zarr(zarr.open_group(path / "mean", mode="r"))
        array = zarr.open_array(path / "mean" / "0", mode="r")
        assert array.shape[array.metadata.dimension_names.index("c")] == 3
    assert zarr.open_array(path / "1", mode="r").metadata.dimension_names == tuple(axes)


def test_scales_and_translations_follow_the_pixel_size():
    info = image_info((40, 20), pixel_size=(0.5, 0.25), units=("micrometer", ""))
    layout = plan_labels(info, 4, chunk=10)
    (multiscale,) = label_metadata("a", layout, info, model())["multiscales"]
    assert multiscale["axes"] == [
        {"name": "y", "type": "space", "unit": "micrometer"},
        {"name": "x", "type": "space"},
    ]
    found = [
        tuple(t[t["type"]] for t in d["coordinateTransformations"]) for d in multiscale["datasets"]
    ]
    assert found == [
        ([0.5, 0.25], [0.0, 0.0]),
        ([1.0, 0.5], [0.25, 0.125]),
        ([2.0, 1.0], [0.75, 0.375]),
    ]


def test_a_pixel_size_that_is_none_counts_as_one():
    info = image_info((4, 4), pixel_size=(float("nan"), 0.0))
    (multiscale,) = label_metadata("a", plan_labels(info, 4), info, model())["multiscales"]
    assert multiscale["datasets"][0]["coordinateTransformations"][0]["scale"] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("means", "dtype", "rgb"),
    [
        ([[0, 10.4, 255], [1, 2, 3]], "uint8", [[0, 10, 255], [1, 2, 3]]),
        ([[0, 10, 255, 77], [1, 2, 3, 77]], "uint8", [[0, 10, 255], [1, 2, 3]]),
        ([[0], [100.5], [255]], "uint8", [[0] * 3, [100] * 3, [255] * 3]),
        ([[10, 30]], "uint8", [[20, 20, 20]]),
        ([[100], [300], [1100]], "uint16", [[0] * 3, [51] * 3, [255] * 3]),
        ([[-1.0, 0, 1], [0, 0, 0]], "float32", [[0, 128, 255], [128, 128, 128]]),
        ([[5.0]], "float64", [[128, 128, 128]]),
        ([[-1.5e308], [1.5e308]], "float64", [[0] * 3, [255] * 3]),
    ],
)
def test_colours_show_the_segmented_picture(means, dtype, rgb):
    colours = label_colours(np.array(means, np.float64), np.dtype(dtype))
    assert colours[:, :3].tolist() == rgb
    assert (colours[:, 3] == 255).all()


@pytest.mark.parametrize(
    ("channels", "channel_names", "names"),
    [
        (1, (), [""]),
        (2, (), ["_0", "_1"]),
        (2, ("DAPI", "GFP"), ["_DAPI", "_GFP"]),
        (2, ("a", "a"), ["_0", "_1"]),
    ],
)
def test_every_value_has_a_colour_and_what_is_known_of_it(channels, channel_names, names):
    info = image_info((10, 10), channels=channels, channel_names=channel_names)
    fit = model(3, channels, counts=[20, 0, 70])
    ome = label_metadata("a", plan_labels(info, 3), info, fit)
    colours, properties = ome["image-label"]["colors"], ome["image-label"]["properties"]
    assert [c["label-value"] for c in colours] == [0, 1, 2, 3]
    assert colours[0]["rgba"] == [0, 0, 0, 0]
    assert [p["label-value"] for p in properties] == [0, 1, 2, 3]
    assert [p["pixel_count"] for p in properties] == [10, 20, 0, 70]
    assert [p["fraction"] for p in properties] == [0.1, 0.2, 0.0, 0.7]
    columns = [f"{key}{name}" for key in ("mean", "standard_deviation") for name in names]
    for column, numbers in zip(columns, [*fit.means.T, *fit.deviations.T], strict=True):
        assert [p[column] for p in properties] == [None, *numbers.tolist()]
    # napari makes a table of the properties: nothing in it may be a list
    assert not any(isinstance(value, list) for p in properties for value in p.values())


def test_very_many_means_do_not_go_into_properties():
    info = image_info((300, 300), channels=100)
    fit = model(400, 100)
    properties = label_metadata("a", plan_labels(info, 400), info, fit)["image-label"]["properties"]
    assert len(properties) == 401
    assert set(properties[1]) == {"label-value", "pixel_count", "fraction"}
