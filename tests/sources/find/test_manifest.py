import os
import sys
from dataclasses import replace

import pyarrow
import pyarrow.parquet
import pytest
from chunkmeans.errors import ConfigError
from chunkmeans.sources.find.manifest import read_manifest


def manifest(folder, text, encoding="utf-8"):
    path = folder / "manifest.csv"
    path.write_text(text, encoding=encoding)
    return str(path)


def test_every_column_finds_its_place(tmp_path):
    text = "path,id,mask,channels,group,patient\na/b.tif,first,m.png,0; DAPI ,g1,P-7\n/x.tif,,,,,\n"
    first, second = read_manifest(manifest(tmp_path, text))
    assert first.path == str(tmp_path / "a/b.tif")
    assert (first.id, first.mask, first.group) == ("first", str(tmp_path / "m.png"), "g1")
    assert first.channels == (0, "DAPI")
    assert first.extra == {"patient": "P-7"}
    assert (second.path, second.id, second.mask) == ("/x.tif", "", None)
    assert (second.channels, second.group, second.extra) == (None, None, {"patient": ""})


def test_urls_and_packages_stay_as_they_are(tmp_path):
    text = "path\ns3://bucket/a.zarr\npackage://skimage/data/coins.png\n"
    rows = list(read_manifest(manifest(tmp_path, text)))
    assert [row.path for row in rows] == ["s3://bucket/a.zarr", "package://skimage/data/coins.png"]


def test_a_byte_order_mark_of_a_spreadsheet_is_passed_over(tmp_path):
    (row,) = read_manifest(manifest(tmp_path, "path\na.tif\n", "utf-8-sig"))
    assert row.listed == "a.tif"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file,id\na.tif,1\n", r"manifest\.csv:1: .*column 'path'.*found file, id"),
        ("", r"manifest\.csv:1: .*found nothing"),
        ("path,id,id\na,b,c\n", "each column once"),
        ("path,id\na.tif\n", r"manifest\.csv:2: 1 values for 2 columns"),
        ("path\na.tif\nb.tif,c,d\n", r"manifest\.csv:3: 3 values for 1 columns"),
        ("path,id\n ,x\n", r"manifest\.csv:2: the path is empty"),
        ('path\n"a\n', "not readable as CSV"),
    ],
)
def test_what_is_no_manifest_is_an_error_with_its_line(tmp_path, text, says):
    with pytest.raises(ConfigError, match=says):
        list(read_manifest(manifest(tmp_path, text)))


def test_a_file_that_is_not_text_is_an_error(tmp_path):
    (tmp_path / "m.csv").write_bytes(b"path\n\xff\xfe\xff\n")
    with pytest.raises(ConfigError, match="not readable as CSV"):
        list(read_manifest(str(tmp_path / "m.csv")))


def test_a_missing_manifest_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.csv.*no such manifest"):
        list(read_manifest(str(tmp_path / "gone.csv")))


def parquet(folder, **columns):
    path = folder / "manifest.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return str(path)


def test_a_parquet_manifest_says_what_a_csv_says(tmp_path):
    path = parquet(
        tmp_path,
        path=["a/b.tif", "/x.tif", "s3://b/c.zarr"],
        id=["first", None, ""],
        mask=["m.png", None, None],
        channels=[[0, 2], None, []],
        group=pyarrow.array(["g1", "g2", None]).dictionary_encode(),
        patient=[7, None, 9],
        weight=[0.1, 2.0, None],
    )
    text = (
        "path,id,mask,channels,group,patient,weight\n"
        "a/b.tif,first,m.png,0;2,g1,7,0.1\n/x.tif,,,,g2,,2.0\ns3://b/c.zarr,,,,,9,\n"
    )
    rows = list(read_manifest(path))
    assert [row.line for row in rows] == [1, 2, 3]
    listed = list(read_manifest(manifest(tmp_path, text)))
    assert rows == [replace(row, line=row.line - 1) for row in listed]


def test_integers_that_a_parquet_manifest_holds_as_floats_are_integers(tmp_path):
    path = parquet(
        tmp_path,
        path=["a.tif", "b.tif", "c.tif"],
        id=[1.0, 2.0, None],
        channels=pyarrow.array([0.0, None, float("nan")]),
        group=[3.0, 3.5, None],
        weight=[1.0, 2.5, None],
    )
    rows = list(read_manifest(path))
    assert [row.id for row in rows] == ["1", "2", ""]
    assert [row.channels for row in rows] == [(0,), None, None]
    assert [row.group for row in rows] == ["3", "3.5", None]
    assert [row.extra["weight"] for row in rows] == ["1.0", "2.5", ""]
    (row,) = read_manifest(parquet(tmp_path, path=["a.tif"], channels=[[2.0, 0.0]]))
    assert row.channels == (2, 0)


def test_a_parquet_manifest_of_several_row_groups_is_read_to_its_end(tmp_path):
    path = tmp_path / "manifest.parquet"
    names = [f"{n}.tif" for n in range(1000)]
    pyarrow.parquet.write_table(pyarrow.table({"path": names}), path, row_group_size=7)
    assert [row.listed for row in read_manifest(str(path))] == names


def test_what_is_no_parquet_is_an_error_that_names_it(tmp_path):
    (tmp_path / "m.parquet").write_bytes(b"path\na.tif\n")
    with pytest.raises(ConfigError, match=r"m\.parquet: not readable as Parquet"):
        list(read_manifest(str(tmp_path / "m.parquet")))
    with pytest.raises(ConfigError, match=r"a column 'path'.*found file"):
        list(read_manifest(parquet(tmp_path, file=["a.tif"])))


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    path = parquet(tmp_path, path=["a.tif"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pip install 'chunkmeans\[parquet\]'"):
        list(read_manifest(path))


def test_paths_are_seen_from_the_folder_of_the_manifest(tmp_path):
    (tmp_path / "lists").mkdir()
    rows = ["a.tif", "./b.tif", "../c.tif", "d//e.tif", "f/./g.tif", "h/../i.tif", ".j.tif"]
    found = read_manifest(manifest(tmp_path / "lists", "\n".join(["path", *rows]) + "\n"))
    assert [row.path for row in found] == [
        os.path.abspath(tmp_path / "lists" / row) for row in rows
    ]
