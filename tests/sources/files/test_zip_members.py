"""Zip archives: listing their members, and reading them."""

import io
import os
import zipfile

import fsspec
import numpy as np
import pytest
import tifffile
from chunkmeans.errors import ConfigError, SourceError
from chunkmeans.image.grid import Box
from chunkmeans.results.read.record import RunRecord
from chunkmeans.sources import collect_entries, open_image
from chunkmeans.sources.files import zip_members
from chunkmeans.sources.files.byte_ranges import source_filesystem
from chunkmeans.sources.find import search
from PIL import Image as Pillow

PICTURE = np.arange(40 * 50 * 3, dtype=np.uint8).reshape(40, 50, 3)


def tiff(**how):
    file = io.BytesIO()
    tifffile.imwrite(file, PICTURE, photometric="rgb", metadata=None, **how)
    return file.getvalue()


def png():
    file = io.BytesIO()
    Pillow.fromarray(PICTURE).save(file, "PNG")
    return file.getvalue()


MEMBERS = {
    "b.tif": tiff(tile=(16, 16), compression="zlib"),
    "a/raw.tif": tiff(),
    "a/c.PNG": png(),
    "notes.txt": b"",
    "__MACOSX/._b.tif": b"",
    "out/run.json": RunRecord(config={}, settings={}, fingerprint="0").to_json(),
    "out/images/x.ome.zarr/zarr.json": b"",
    "out/x.png": b"",
    "plate/run.json": b"of another program",
    "plate/images/p.png": b"",
    "s.zarr/zarr.json": b"",
    "s.zarr/c/0.tif": b"",
}


@pytest.fixture(params=[zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def packed(request, tmp_path):
    """Path of an archive."""
    path = tmp_path / "Scans.ZIP"
    with zipfile.ZipFile(path, "w", request.param) as file:
        for name, content in MEMBERS.items():
            file.writestr(name, content)
    return str(path)


def pixels(path):
    image = open_image(path)
    return image.read(Box.whole(image.info.shape)).values


def ids(*paths, **settings):
    return [entry.id for entry in collect_entries(paths, **settings)]


def test_an_archive_is_searched_as_a_folder_is(packed):
    found = collect_entries([packed])
    assert [entry.id for entry in found] == ["a/c", "a/raw", "b", "plate/images/p", "s"]
    assert found[1].path == f"zip://a/raw.tif::{packed}"


def test_a_part_of_an_archive_can_be_named(packed, monkeypatch):
    assert ids(f"zip://a::{packed}") == ["c", "raw"]
    assert ids(f"zip://*.tif::{packed}") == ["b"]
    assert ids(f"zip://*/**/*.png::{packed}") == ["plate/images/p"]
    assert ids(f"zip://a/c.PNG::{packed}") == ["c"]
    monkeypatch.chdir(os.path.dirname(packed))
    (entry,) = collect_entries(["zip://**/raw.tif::Scans.ZIP"])
    assert entry.path == f"zip://a/raw.tif::{packed}"


def test_archives_behind_urls_and_several_by_a_glob(packed, tmp_path):
    system = fsspec.filesystem("memory")
    with open(packed, "rb") as file:
        system.pipe("/archives/x.zip", file.read())
    try:
        found = collect_entries(["memory://archives/x.zip"])
        assert found[2].path == "zip://b.tif::memory://archives/x.zip"
        np.testing.assert_array_equal(pixels(found[2].path), PICTURE)
    finally:
        system.rm("/archives", recursive=True)
    os.link(packed, tmp_path / "again.zip")
    found = [entry.id for entry in collect_entries([f"{tmp_path}/*.[zZ][iI][pP]"])]
    assert len(set(found)) == 10
    assert all("-" in name for name in found)


@pytest.mark.parametrize("name", ["b.tif", "a/raw.tif", "a/c.PNG"])
def test_members_are_read_as_files_are(packed, name):
    path = f"zip://{name}::{packed}"
    np.testing.assert_array_equal(pixels(path), PICTURE)
    image = open_image(path)
    part = image.read(Box((7, 9), (30, 44))).values
    np.testing.assert_array_equal(part, PICTURE[7:30, 9:44])


def test_the_table_of_an_archive_is_read_once_while_it_is_the_same(packed):
    path = f"zip://b.tif::{packed}"
    before, mark = source_filesystem(path, {})[0], open_image(path).fingerprint()
    assert source_filesystem(f"zip://a/c.PNG::{packed}", {})[0] is before
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("b.tif", tiff(rowsperstrip=3))
    os.utime(packed, ns=(1, 1))
    assert source_filesystem(path, {})[0] is not before
    assert open_image(path).fingerprint() != mark
    np.testing.assert_array_equal(pixels(path), PICTURE)


def test_a_damaged_member_is_an_error_that_names_it(packed):
    with zipfile.ZipFile(packed) as file:
        start = file.getinfo("a/raw.tif").header_offset
    with open(packed, "r+b") as file:
        file.seek(start + 200)
        file.write(b"\xaa" * 60)
    with pytest.raises(SourceError, match=r"raw\.tif"):
        pixels(f"zip://a/raw.tif::{packed}")
    with pytest.raises(SourceError, match=r"gone\.tif.*no such file"):
        pixels(f"zip://gone.tif::{packed}")


def test_a_member_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(packed, monkeypatch):
    monkeypatch.setattr(zip_members, "MOST_UNPACKED", 1000)
    with pytest.raises(SourceError, match=r"unpacks to [\d,]+ bytes, 1,000 are allowed.*unpack"):
        pixels(f"zip://b.tif::{packed}")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\3\4" + bytes(100)])
def test_what_is_no_archive_is_an_error_that_names_it(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ConfigError, match=r"a\.zip' cannot be listed: "):
        ids(str(tmp_path / "a.zip"))


def test_an_archive_of_a_glob_in_which_no_image_can_be_found_is_one_that_fails(packed, tmp_path):
    (tmp_path / "broken.zip").write_bytes(b"no archive")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as file:
        file.writestr("notes.txt", b"")
    found = collect_entries([f"{tmp_path}/*.[zZ][iI][pP]"])
    assert [entry.id for entry in found] == [
        "a/c", "a/raw", "b", "plate/images/p", "s", "broken.zip", "empty.zip",
    ]  # fmt: skip
    with pytest.raises(
        SourceError, match=r"/broken\.zip: cannot be listed: File is not a zip file$"
    ):
        open_image(found[-2].path)
    with pytest.raises(SourceError, match=r"/empty\.zip: is an archive, not one image.*\.tif"):
        open_image(found[-1].path)


def test_an_archive_of_a_glob_that_cannot_be_read_for_the_moment_is_an_error(packed, monkeypatch):
    def fail(url, storage_options):
        raise OSError(5, "Input/output error", url)

    monkeypatch.setattr(search, "filesystem", fail)
    with pytest.raises(ConfigError, match=r"cannot be listed: .*Input/output"):
        ids(f"{packed[:-4]}.*")


def test_names_that_climb_stay_inside(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for name in ("../../evil.tif", "a/../../b.tif", "/c.tif", "d\\..\\e.tif"):
            file.writestr(name, tiff())
    assert ids(str(tmp_path / "a.zip")) == ["evil", "a/b", "c", "d_.._e"]


def test_folders_nested_without_end_are_an_error_that_names_the_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("d/" * 3000 + "deep.tif", b"")
    with pytest.raises(ConfigError, match=r"a\.zip' cannot be listed: maximum recursion"):
        ids(str(tmp_path / "a.zip"))


def test_an_archive_without_an_image_says_so(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("notes.txt", b"")
    with pytest.raises(ConfigError, match=r"a\.zip': no image is there"):
        ids(str(tmp_path / "a.zip"))


def test_positions_of_two_readers_of_a_member_are_their_own(packed):
    path = f"zip://b.tif::{packed}"
    system, inner = source_filesystem(path, {})
    with (
        zip_members.open_member(system, inner, path) as one,
        zip_members.open_member(system, inner, path) as two,
    ):
        assert one.read(10) == MEMBERS["b.tif"][:10]
        assert two.seek(-5, os.SEEK_END) == len(MEMBERS["b.tif"]) - 5
        assert (two.read(), one.read(5)) == (MEMBERS["b.tif"][-5:], MEMBERS["b.tif"][10:15])
        with pytest.raises(ValueError, match="cannot seek"):
            one.seek(-1)
