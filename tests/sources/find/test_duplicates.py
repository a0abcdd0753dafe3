"""Inputs of the same content."""

import os
from collections import defaultdict

import chunkmeans.sources.files.content_hash
import fsspec
import pytest
from chunkmeans.sources.find import duplicates
from chunkmeans.sources.find.duplicates import GLANCE, find_duplicates
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LARGE = 4 * GLANCE


@pytest.fixture
def write(tmp_path):
    def files(*contents):
        paths = []
        for n, content in enumerate(contents):
            paths.append(str(tmp_path / f"{n:03d}.tif"))
            (tmp_path / f"{n:03d}.tif").write_bytes(content)
        return paths

    return files


@pytest.fixture
def opened(monkeypatch):
    """Paths that were opened, as often as they were."""
    found, plain = [], duplicates.open_file

    def counted(path, options):
        found.append(os.path.basename(path))
        return plain(path, options)

    for module in (duplicates, chunkmeans.sources.files.content_hash):
        monkeypatch.setattr(module, "open_file", counted)
    return found


CONTENTS = st.lists(st.sampled_from([b"", b"a", b"b", b"aa", b"ab", b"a" * LARGE]), max_size=12)


@given(contents=CONTENTS)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None
)
def test_each_input_points_to_the_first_of_its_content_and_no_other(write, contents):
    by_content = defaultdict(list)
    for i, content in enumerate(contents):
        by_content[content].append(i)
    by_content.pop(b"", None)
    expected = {i: same[0] for same in by_content.values() for i in same[1:]}
    found = find_duplicates(write(*contents))
    assert (dict(found.first), found.unknown) == (expected, ())


def test_what_is_empty_repeats_nothing(tmp_path, write):
    for name in ("a.png", "b.ome.zarr", "c.ome.zarr"):
        (tmp_path / name).mkdir()
    (tmp_path / "c.ome.zarr" / "c").touch()
    paths = [*map(str, sorted(tmp_path.iterdir())), *write(b"", b"")]
    found = find_duplicates(paths)
    assert (dict(found.first), found.unknown) == ({}, ())


def test_nothing_is_read_where_all_sizes_differ(write, opened):
    paths = write(*(b"x" * n for n in range(1, 30)))
    assert dict(find_duplicates(paths).first) == {}
    assert opened == []


def test_only_what_looks_the_same_is_read_whole(write, opened):
    same = bytes(LARGE)
    other = b"\1" + same[1:]
    assert dict(find_duplicates(write(same, other, same)).first) == {2: 0}
    assert sorted(opened) == ["000.tif", "000.tif", "001.tif", "002.tif", "002.tif"]


@pytest.mark.parametrize(
    "at", [0, 1, GLANCE, GLANCE + 1, LARGE // 2, LARGE - GLANCE - 1, LARGE - 1]
)
def test_one_byte_of_difference_anywhere_is_seen(write, at):
    changed = bytearray(LARGE)
    changed[at] = 1
    assert dict(find_duplicates(write(bytes(LARGE), bytes(changed))).first) == {}


def test_a_budget_is_kept_and_what_it_left_unread_is_told(write, opened):
    paths = write(b"ab", b"ab", b"x" * 1000, b"x" * 1000)
    found = find_duplicates(paths, budget=100)
    assert (dict(found.first), found.unknown) == ({1: 0}, (2, 3))
    assert sorted(opened) == ["000.tif", "001.tif"]  # by threads, in any order


def test_what_cannot_be_read_repeats_nothing(write, tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.tif")
    paths = [*write(b"a", b"a", b"a"), str(tmp_path / "gone.tif"), str(tmp_path / "pipe.tif")]
    plain = duplicates.open_file

    def broken(path, options):
        if path == paths[1]:
            raise OSError("the disk is broken there")
        return plain(path, options)

    for module in (duplicates, chunkmeans.sources.files.content_hash):
        monkeypatch.setattr(module, "open_file", broken)
    found = find_duplicates(paths)
    assert (dict(found.first), found.unknown) == ({2: 0}, (1,))


def test_zarr_folders_are_compared_file_by_file(tmp_path):
    for name, chunk in (("a", b"12"), ("b", b"12"), ("c", b"21")):
        folder = tmp_path / f"{name}.zarr"
        (folder / "c").mkdir(parents=True)
        (folder / "zarr.json").write_text("{}")
        (folder / "c" / "0").write_bytes(chunk)
    paths = [str(tmp_path / f"{name}.zarr") for name in "abc"]
    assert dict(find_duplicates(paths).first) == {1: 0}


def test_files_and_folders_behind_urls_are_compared_too(write):
    system = fsspec.filesystem("memory")
    try:
        for name in ("a.tif", "b.tif", "c.zarr/0", "d.zarr/0"):
            system.pipe(f"/same/{name}", b"content")
        paths = [f"memory://same/{name}" for name in ("a.tif", "b.tif", "c.zarr", "d.zarr")]
        assert dict(find_duplicates([*paths, *write(b"content")]).first) == {1: 0, 3: 2, 4: 0}
    finally:
        system.rm("/same", recursive=True)
