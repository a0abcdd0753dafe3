import shutil
from pathlib import Path
from typing import ClassVar

import fsspec
import numcodecs
import numpy as np
import pytest
import zarr
from chunkmeans.errors import SourceError
from chunkmeans.image.grid import Box
from chunkmeans.sources import ReadOptions, open_image
from chunkmeans.testing import FileSourceTests

_METADATA = {"zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"}
_FILES: dict = {}


class Zarr(FileSourceTests):
    settings: ClassVar[dict] = {}

    def write(self, folder, values):
        path = folder / "image.zarr"
        # zarr is slow at writing: each array is written by it once, and then as the same files
        key = type(self), values.tobytes()
        if key not in _FILES:
            self.store(path, values)
            found = [p for p in path.rglob("*") if p.is_file()]
            _FILES[key] = {p.relative_to(path): p.read_bytes() for p in found}
        shutil.rmtree(path, ignore_errors=True)
        for name, data in _FILES[key].items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
        return str(path)

    def store(self, path, values):
        zarr.create_array(path, data=values, overwrite=True, **self.settings)

    def pixel_files(self, written):
        files = (p for p in Path(written).rglob("*") if p.is_file())
        return [p for p in files if p.name not in _METADATA]


class TestVersion2(Zarr):
    settings: ClassVar[dict] = {"chunks": (16, 20, 3), "zarr_format": 2}


class TestVersion3(Zarr):
    channels = 5
    dtype = "uint16"
    settings: ClassVar[dict] = {"chunks": (16, 20, 2), "dimension_names": ("y", "x", "c")}

    def test_a_chunk_is_what_is_stored_as_one(self, image):
        assert image.info.chunks == (16, 20)


class TestNoCompression(Zarr):
    settings: ClassVar[dict] = {"chunks": (16, 20, 3), "compressors": None}


class TestVersion2WithoutCompression(Zarr):
    settings: ClassVar[dict] = {"chunks": (16, 20, 3), "compressors": None, "zarr_format": 2}


class TestVersion2Blosc(Zarr):
    settings: ClassVar[dict] = {
        "chunks": (16, 20, 3),
        "compressors": numcodecs.Blosc(),
        "zarr_format": 2,
    }


class TestVersion3Blosc(Zarr):
    settings: ClassVar[dict] = {"chunks": (16, 20, 3), "compressors": zarr.codecs.BloscCodec()}


class TestSharded(Zarr):
    settings: ClassVar[dict] = {"chunks": (8, 8, 3), "shards": (32, 32, 3)}

    def test_a_chunk_is_the_inner_one(self, image):
        assert image.info.chunks == (8, 8)


class TestBigEndianFloatVolumeChannelsFirst(Zarr):
    shape = (5, 20, 21)
    channels = 2
    dtype = ">f8"
    settings: ClassVar[dict] = {"chunks": (1, 2, 16, 16), "zarr_format": 2}

    def store(self, path, values):
        super().store(path, np.moveaxis(values, -1, 0))


class TestBool(Zarr):
    channels = 1
    dtype = "bool"
    settings: ClassVar[dict] = {"chunks": (16, 16)}

    def store(self, path, values):
        super().store(path, values[..., 0])


def ome(version, levels, channels=()):
    units = {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
    kinds = {"t": "time", "c": "channel"}
    axes = [
        {"name": a, "type": kinds.get(a, "space")} | ({"unit": units[a]} if a in units else {})
        for a in "tczyx"
    ]
    datasets = [
        {
            "path": str(n),
            "coordinateTransformations": [
                {"type": "scale", "scale": [2.0, 1.0, 3.0, 0.5 * 2**n, 0.25 * 2**n]}
            ],
        }
        for n in range(levels)
    ]
    body = {"multiscales": [{"version": version, "axes": axes, "datasets": datasets}]}
    body["omero"] = {"channels": [{"label": c} for c in channels]}
    return body if version == "0.4" else {"ome": {"version": version} | body}


class OmeZarr(Zarr):
    shape = (2, 3, 18, 20)
    version = "0.5"
    zarr_format = 3

    def store(self, path, values):
        stored = np.moveaxis(values, -1, 1)
        shutil.rmtree(path, ignore_errors=True)
        group = zarr.create_group(path, zarr_format=self.zarr_format)
        group.attrs.update(ome(self.version, 2, ("red", "green", "blue")))
        group.create_array("0", data=stored, chunks=(1, 1, 2, 16, 16))
        group.create_array("1", data=stored[..., ::2, ::2], chunks=(1, 1, 2, 16, 16))

    def test_scales_units_and_channel_names_come_from_the_metadata(self, image):
        assert image.info.pixel_size == (2.0, 3.0, 0.5, 0.25)
        assert image.info.units == ("second", *["micrometer"] * 3)
        assert image.info.channel_names == ("red", "green", "blue")

    def test_a_level_is_an_image_of_its_own(self, written, expected):
        image = self.open(written, level=1, channels=("blue",))
        assert image.info.pixel_size == (2.0, 3.0, 1.0, 0.5)
        np.testing.assert_array_equal(
            image.read(Box.whole(image.info.shape)).values, expected[:, :, ::2, ::2, 2:]
        )

    def test_a_level_out_of_range_is_an_error(self, written):
        with pytest.raises(SourceError, match=r"image\.zarr.*level 2 is out of range.*0 to 1"):
            _ = self.open(written, level=2).info

    def test_one_of_its_arrays_can_be_named(self, written, expected):
        image = self.open(f"{written}/0", axes="tczyx")
        np.testing.assert_array_equal(image.read(Box.whole(self.shape)).values, expected)


class TestOmeZarr04(OmeZarr):
    version = "0.4"
    zarr_format = 2


class TestOmeZarr05(OmeZarr):
    pass


def array(path, shape=(20, 30), **settings):
    return zarr.create_array(path, data=np.arange(np.prod(shape)).reshape(shape), **settings)


def test_axes_of_the_options_win_over_dimension_names(tmp_path):
    array(tmp_path / "a.zarr", (5, 20, 30), dimension_names=("z", "y", "x"))
    assert open_image(str(tmp_path / "a.zarr")).info.axes == "zyx"
    assert open_image(str(tmp_path / "a.zarr"), ReadOptions(axes="cyx")).info.channels == 5


def test_a_missing_chunk_reads_as_the_fill_value(tmp_path):
    path = tmp_path / "a.zarr"
    zarr.create_array(path, shape=(8, 8), chunks=(4, 4), dtype="i4", fill_value=7)[:4] = 1
    values = open_image(str(path)).read(Box.whole((8, 8))).values
    assert (values[:4] == 1).all()
    assert (values[4:] == 7).all()


def test_a_damaged_chunk_is_an_error_and_others_still_read(tmp_path):
    path = tmp_path / "a.zarr"
    array(path, chunks=(10, 10))
    (path / "c/0/1").write_bytes(b"nonsense")
    image = open_image(str(path))
    image.read(Box((10, 0), (20, 30)))
    with pytest.raises(SourceError, match=r"a\.zarr: cannot be read at \[0:20, 0:30\]"):
        image.read(Box.whole((20, 30)))


def test_a_store_that_vanishes_is_an_error_and_not_fill_values(tmp_path):
    array(tmp_path / "a.zarr")
    image = open_image(str(tmp_path / "a.zarr"))
    image.read(Box.whole((20, 30)))
    shutil.rmtree(tmp_path / "a.zarr")
    with pytest.raises(SourceError, match="gone since it was opened"):
        image.read(Box.whole((20, 30)))


def test_a_url_reads_the_same_and_its_fingerprint_follows_the_content():
    url = "memory://test-zarr/image.zarr"
    zarr.create_array(url, data=np.arange(600).reshape(20, 30), chunks=(10, 10))
    image = open_image(url)
    np.testing.assert_array_equal(
        image.read(Box((5, 5), (15, 25))).values[..., 0], np.arange(600).reshape(20, 30)[5:15, 5:25]
    )
    before = image.fingerprint()
    assert open_image(url).fingerprint() == before
    fsspec.filesystem("memory").pipe("/test-zarr/image.zarr/c/0/0", b"something else")
    assert image.fingerprint() != before
    with pytest.raises(SourceError, match=r"memory://test-zarr/gone\.zarr"):
        _ = open_image("memory://test-zarr/gone.zarr").info


@pytest.mark.parametrize("url", ["memory://test-zarr/folder", "memory://test-zarr/a.zarr/0.1"])
def test_a_url_without_a_suffix_is_a_zarr_folder(url):
    zarr.create_array(url, data=np.arange(600).reshape(20, 30))
    assert open_image(url).info.shape == (20, 30)


def test_secrets_of_the_storage_options_are_in_no_error():
    options = ReadOptions(storage_options={"token": "canary"})
    with pytest.raises(SourceError) as error:
        _ = open_image("memory://test-zarr/gone.zarr", options).info
    assert "canary" not in str(error.value)
    assert "canary" not in repr(options)


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"labels": ["nuclei"]}, r"group of labels \['nuclei'\]"),
        ({"ome": {"version": "0.5", "labels": ["nuclei"]}}, "group of labels"),
        ({"ome": {"plate": {"wells": [{"path": "B/2"}]}}}, r"plate of 1 wells.*B/2/0"),
        ({"well": {"images": [{"path": "0"}]}}, "is a well"),
        ({}, "without OME-Zarr metadata.*name one of its arrays: cells, nuclei"),
        ({"multiscales": [{"datasets": [{"path": "../elsewhere"}]}]}, "not a path inside it"),
        ({"multiscales": {"datasets": 1}}, "no list of multiscales"),
        ({"multiscales": [{"axes": ["u", "v"], "datasets": [{"path": "cells"}]}]}, "images.axes"),
        ({"multiscales": [{"axes": ["x"], "datasets": [{"path": "cells"}]}]}, "images.axes"),
        ({"multiscales": [{"datasets": [{"path": "gone"}]}]}, "no zarr array or group is at"),
    ],
)
def test_a_group_that_is_no_image_says_what_it_is(tmp_path, attributes, says):
    group = zarr.create_group(tmp_path / "group.zarr", attributes=attributes)
    for name in ("nuclei", "cells"):
        group.create_array(name, shape=(9, 9), dtype="u1")
    with pytest.raises(SourceError, match=rf"group\.zarr.*{says}"):
        _ = open_image(str(tmp_path / "group.zarr")).info


def test_labels_open_with_a_warning_because_they_may_be_a_mask(tmp_path):
    attributes = {
        "image-label": {},
        "multiscales": [{"axes": ["y", "x"], "datasets": [{"path": "0"}]}],
    }
    group = zarr.create_group(tmp_path / "labels.zarr", attributes=attributes)
    group.create_array("0", shape=(9, 9), dtype="u1")
    assert "labels" in open_image(str(tmp_path / "labels.zarr")).info.warnings[0]


def test_series_chooses_among_the_images_of_a_converted_file(tmp_path):
    root = zarr.create_group(tmp_path / "many.zarr", attributes={"bioformats2raw.layout": 3})
    for n in range(2):
        attributes = {"multiscales": [{"axes": ["y", "x"], "datasets": [{"path": "0"}]}]}
        child = root.create_group(str(n), attributes=attributes)
        child.create_array("0", shape=(9, 9 + n), dtype="u1")
    path = str(tmp_path / "many.zarr")
    assert open_image(path, ReadOptions(series=1)).info.shape == (9, 10)
    with pytest.raises(SourceError, match="2"):
        _ = open_image(path, ReadOptions(series=2)).info


@pytest.mark.parametrize(
    ("dtype", "kind"), [("complex64", "complex numbers"), ("U5", "text"), ("M8[s]", "dates")]
)
def test_what_holds_no_numbers_is_refused_by_name(tmp_path, dtype, kind):
    zarr.create_array(tmp_path / "a.zarr", shape=(9, 9), dtype=dtype, zarr_format=2)
    with pytest.raises(SourceError, match=rf"a\.zarr.*{kind}"):
        _ = open_image(str(tmp_path / "a.zarr")).info


def test_structures_are_refused_by_name(tmp_path):
    dtype = np.dtype([("a", "u1"), ("b", "f4")])
    zarr.create_array(tmp_path / "a.zarr", shape=(9, 9), dtype=dtype, zarr_format=2)
    with pytest.raises(SourceError, match=r"a\.zarr.*structures"):
        _ = open_image(str(tmp_path / "a.zarr")).info


def test_a_folder_named_zarr_without_metadata_is_an_error(tmp_path):
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(SourceError, match=r"empty\.zarr.*no zarr array or group"):
        _ = open_image(str(tmp_path / "empty.zarr")).info


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("base", ["folder", "memory"])
def test_a_group_names_all_its_arrays_though_one_is_broken_and_opens_none(
    tmp_path, capfd, version, base
):
    folder = tmp_path / "data.zarr"
    group = zarr.open_group(folder, mode="w", zarr_format=version)
    group.create_group("folder-of-more")
    for name in ("a", "b", "c"):
        group.create_array(name, shape=(4, 5), dtype="u1")
    for mark in folder.glob("b/*zar*"):
        mark.write_text('{"node_type": "array", "zarr_format": "seven"}')
    path = str(folder)
    if base == "memory":
        path = f"memory://test-zarr/{tmp_path.name}/data.zarr"
        fsspec.filesystem("memory").put(str(folder), path, recursive=True)
    with pytest.raises(SourceError, match=r"name one of its arrays: a, b, c$"):
        _ = open_image(path).info
    assert capfd.readouterr().err == ""


def test_a_group_that_cannot_be_listed_is_an_error_that_says_so(tmp_path, monkeypatch):
    zarr.open_group(tmp_path / "data.zarr", mode="w")

    def refuse(*_args, **_kwargs):
        raise PermissionError("not for you")

    monkeypatch.setattr(fsspec.filesystem("file"), "ls", refuse)
    with pytest.raises(SourceError, match=r"one of its arrays \(they cannot be listed: not for"):
        _ = open_image(str(tmp_path / "data.zarr")).info
