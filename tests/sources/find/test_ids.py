import unicodedata

import pytest
from chunkmeans.sources.find.ids import safe_name, unique_ids
from hypothesis import given
from hypothesis import strategies as st

PATHS = st.text(st.one_of(st.sampled_from("./\\ aAé\0:*~"), st.characters()), max_size=300)


@given(PATHS)
def test_no_name_leaves_the_output_or_troubles_a_file_system(path):
    name = safe_name(path)
    parts = name.split("/")
    assert all(part.strip(". ") == part != "" for part in parts)
    assert not set(name) & set('\\:*?"<>|\0\n%#')
    assert all(len(part.encode()) <= 101 for part in parts)
    assert len(parts) <= 8
    assert unicodedata.is_normalized("NFC", name)
    assert not any(part.lower().endswith(".zarr") for part in parts[:-1])


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("cells", "cells"),
        ("plate 1/A01/cells-2", "plate 1/A01/cells-2"),
        ("../../x", "x"),
        ("/etc/x", "etc/x"),
        ("a/../../b", "a/b"),
        ("C:\\x", "C__x"),
        ("..\\x", "_x"),
        ("", "image"),
        ("..", "image"),
        ("nul", "_nul"),
        ("com1.x", "_com1.x"),
        ("data.zarr/0", "data/0"),
        ("data.ome.zarr.zarr/0", "data.ome/0"),
        ("data .zarr. /x", "data/x"),
        ("a/con/b", "a/_con/b"),
        ("CON.tif/x", "_CON.tif/x"),
        ("a/" * 20 + "b", "a/" * 7 + "b"),
        (".hidden/..x", "hidden/x"),
        ("e\u0301", "é"),
        ("日本/写真", "日本/写真"),
        ("a\udcff", "a_"),
        ("x" * 300, "x" * 100),
    ],
)
def test_names_stay_readable(path, name):
    assert safe_name(path) == name


@given(st.lists(PATHS, unique=True, max_size=20), st.randoms(use_true_random=False))
def test_ids_are_unique_even_where_case_is_lost_and_do_not_depend_on_order(paths, random):
    names = [safe_name(path) for path in paths]
    ids = unique_ids(names, paths)
    assert len({unicodedata.normalize("NFC", i.casefold()) for i in ids}) == len(ids)
    order = random.sample(range(len(paths)), len(paths))
    again = unique_ids([names[i] for i in order], [paths[i] for i in order])
    assert again == [ids[i] for i in order]


def test_only_names_that_clash_get_a_hash():
    ids = unique_ids(["a", "b", "B", "c"], ["1", "2", "3", "4"])
    assert (ids[0], ids[3]) == ("a", "c")
    assert ids[1].startswith("b-")
    assert ids[2].startswith("B-")
