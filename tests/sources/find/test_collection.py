import builtins
import csv
import os
import pickle
import shutil
from pathlib import Path

import fsspec
import pytest
from chunkmeans.errors import ConfigError, SourceError
from chunkmeans.results.read.record import RunRecord
from chunkmeans.results.store.store import Store, image_path
from chunkmeans.sources import collect_entries, open_image
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.fixture
def make(tmp_path):
    def files(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return str(tmp_path)

    return files


def ids(*paths, **settings):
    return [entry.id for entry in collect_entries(paths, **settings)]


def test_a_folder_is_searched_for_known_suffixes_in_the_order_of_names(make):
    root = make("b.tif", "a.PNG", "sub/deep/c.jpg", "notes.txt", ".hidden.tif", ".git/d.tif")
    assert ids(root) == ["a", "b", "sub/deep/c"]


def test_a_zarr_folder_is_one_image_whatever_its_name(make):
    root = make("a.zarr/zarr.json", "a.zarr/c/0.tif", "b/.zattrs", "b/.zarray", "b/0.tif")
    assert ids(root) == ["a", "b"]
    assert ids(f"{root}/a.zarr") == ["a"]
    assert ids(f"{root}/b") == ["b"]


RECORD = RunRecord(config={}, settings={}, fingerprint="0").to_json()


@pytest.fixture
def results(make, tmp_path):
    """Path of a folder that holds an image and the output of a run."""
    root = make("a.tif", "run.json", "out/x.png", "out/images/in/a.ome.zarr/zarr.json")
    (tmp_path / "out/run.json").write_text(RECORD)
    return root


def test_earlier_results_are_passed_over(results):
    assert ids(results) == ["a"]
    assert ids(f"{results}/**/*.[tpz]*") == ["a"]
    with pytest.raises(
        ConfigError, match=r"no image is there.* results of earlier runs are passed over"
    ):
        ids(f"{results}/*/*.png")


def test_a_result_that_is_named_is_an_image(results):
    assert ids(f"{results}/out/x.png", f"{results}/out/images/in/a.ome.zarr") == ["x", "a"]
    assert ids(f"{results}/out/images", f"{results}/out/images/**/*.zarr") == ["in/a"]


FOREIGN = {
    "empty": b"",
    "other": b'{"fingerprint": "0"}',
    "list": b"[]",
    "deep": b"[" * 100_000,
    "no text": b"\xff\xfe\xfd",
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_a_record_of_another_program_hides_no_image(make, tmp_path, content):
    root = make("plate1/images/a.png", "plate1/catalog.csv")
    (tmp_path / "plate1/run.json").write_bytes(content)
    assert ids(root) == ["plate1/images/a"]
    assert ids(f"{root}/*/*/*.png") == ["plate1/images/a"]


@pytest.mark.parametrize("kind", [os.mkfifo, os.mkdir])
def test_a_record_that_is_no_file_hides_no_image(make, tmp_path, kind):
    root = make("plate1/images/a.png")
    kind(tmp_path / "plate1/run.json")
    assert ids(root) == ids(f"{root}/**/*.png") == ["plate1/images/a"]


def test_a_record_that_cannot_be_read_for_the_moment_is_an_error(results, monkeypatch):
    def fail(self):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", fail)
    for path in (results, f"{results}/**/*.png"):
        with pytest.raises(ConfigError, match=r"out/run\.json' cannot be read: .*Input/output"):
            ids(path)


def test_a_named_file_needs_no_known_suffix(make):
    root = make("scan.001")
    (entry,) = collect_entries([f"{root}/scan.001"])
    assert entry.path == os.path.join(root, "scan.001")
    assert entry.id == "scan.001"


def test_ome_suffixes_count_as_one(make):
    assert ids(make("a.ome.tif", "b.ome.zarr/zarr.json", "c.d.tif")) == ["a", "b", "c.d"]


def test_a_glob_names_images_from_its_fixed_folder(make):
    root = make("x/1/a.tif", "x/2/a.tif", "x/2/b.png", "x/3/c.zarr/zarr.json", "x/3/c.zarr/d.tif")
    assert ids(f"{root}/x/*/a.tif") == ["1/a", "2/a"]
    assert ids(f"{root}/x/**/*.[tz]*") == ["1/a", "2/a", "3/c"]


def test_a_file_whose_name_looks_like_a_glob_is_a_file(make):
    root = make("a[1].tif", "a1.tif")
    assert ids(f"{root}/a[1].tif") == ["a_1_"]


def test_the_same_file_named_twice_is_one_image(make):
    root = make("a.tif", "b.tif")
    assert ids(f"{root}/b.tif", root, f"{root}/*.tif", f"{root}/./a.tif") == ["b", "a"]


def test_two_files_of_one_name_are_told_apart(make):
    root = make("1/a.tif", "2/a.tif", "1/A.tif")
    found = ids(f"{root}/1/a.tif", f"{root}/2/a.tif", f"{root}/1/A.tif")
    assert len({name.lower() for name in found}) == 3
    assert all(name.lower().startswith("a-") for name in found)
    assert ids(f"{root}/2/a.tif", f"{root}/1/A.tif", f"{root}/1/a.tif") == found[1:] + found[:1]


def test_ids_do_not_depend_on_where_the_folder_is(tmp_path):
    for place in ("here", "there"):
        for name in ("a.tif", "a.png"):
            (tmp_path / place).mkdir(exist_ok=True)
            (tmp_path / place / name).touch()
    assert ids(str(tmp_path / "here")) == ids(str(tmp_path / "there"))


def test_a_link_to_a_parent_does_not_go_round_in_circles(make, tmp_path):
    root = make("sub/a.tif")
    (tmp_path / "sub/up").symlink_to(tmp_path)
    assert ids(root) == ["sub/a"]


def test_listing_opens_no_image(make, monkeypatch):
    root = make(*(f"{i}.tif" for i in range(9)))

    def refuse(*args, **_):
        pytest.fail(f"opened {args}")

    monkeypatch.setattr(builtins, "open", refuse)
    assert len(ids(root)) == 9


def test_package_files_keep_their_name():
    (entry,) = collect_entries(["package://skimage/data/coins.png"])
    assert (entry.id, entry.path) == ("coins", "package://skimage/data/coins.png")


@pytest.mark.parametrize("path", ["package://skimage/data/nothing.png", "package://nowhere/a.png"])
def test_a_package_file_that_is_missing_is_an_error(path):
    with pytest.raises(ConfigError, match=path):
        collect_entries([path])


def test_nothing_found_says_what_was_looked_for_and_what_is_there(make):
    root = make("a.txt", "b.txt", "c.doc")
    with pytest.raises(ConfigError) as error:
        collect_entries([root])
    for part in (root, "2 of .txt", "1 of .doc", ".tif", ".zarr"):
        assert part in str(error.value)


@pytest.mark.parametrize("path", ["gone.tif", "gone/", "gone/*.tif", "sub/*.tif"])
def test_a_path_that_names_nothing_is_an_error(make, path):
    root = make("a.tif", "sub/b.png")
    with pytest.raises(ConfigError, match=path.replace("*", r"\*")):
        collect_entries([root, f"{root}/{path}"])


def test_a_manifest_gives_each_image_what_is_its_own(make, tmp_path):
    make("x/a.tif", "b.tif")
    text = "path,id,mask,channels,group,age\nx/a.tif,,m.png,0;2,left,7\nb.tif,second,,,,\n"
    (tmp_path / "manifest.csv").write_text(text)
    first, second = collect_entries([str(tmp_path / "manifest.csv")], mask="/masks/{stem}.png")
    assert (first.id, first.path) == ("x/a", str(tmp_path / "x/a.tif"))
    assert (first.mask, first.channels, first.group) == (str(tmp_path / "m.png"), (0, 2), "left")
    assert first.extra == {"age": "7"}
    assert (second.id, second.mask) == ("second", "/masks/b.png")


@pytest.mark.parametrize(
    ("row", "id"), [("../../x.tif", "x"), ("/etc/y.tif", "y"), ("a/../../z.tif", "a/z")]
)
def test_no_row_of_a_manifest_names_a_place_outside_the_output(tmp_path, row, id):
    (tmp_path / "manifest.csv").write_text(f"path\n{row}\n")
    assert ids(str(tmp_path / "manifest.csv")) == [id]


def test_an_id_given_twice_is_an_error(tmp_path):
    (tmp_path / "manifest.csv").write_text("path,id\na.tif,One\nb.tif,one\n")
    with pytest.raises(ConfigError, match=r"'one' is given twice.*line 2.*line 3"):
        collect_entries([str(tmp_path / "manifest.csv")])


def test_an_empty_manifest_is_an_error(tmp_path):
    (tmp_path / "manifest.csv").write_text("path\n")
    with pytest.raises(ConfigError, match="no row"):
        collect_entries([str(tmp_path / "manifest.csv")])


def test_a_mask_pattern_is_filled_in_and_masks_are_not_images(make):
    root = make("s/a.ome.tif", "s/a_mask.png", "s/b.tif", "s/b_mask.png")
    found = collect_entries([root], mask="{parent}/{stem}_mask.png")
    assert [(e.id, e.mask) for e in found] == [
        ("s/a", f"{root}/s/a_mask.png"),
        ("s/b", f"{root}/s/b_mask.png"),
    ]
    (_, second, *_) = collect_entries([root], mask="/m/{id}.{name}")
    assert second.mask == "/m/s/a_mask.a_mask.png"


@pytest.mark.parametrize("mask", ["s/m.png", "{parent}/../s/./m.png", "file://{parent}/m.png"])
def test_a_mask_among_the_images_is_known_however_its_path_is_written(make, monkeypatch, mask):
    root = make("s/a.tif", "s/m.png")
    monkeypatch.chdir(root)
    (entry,) = collect_entries(["s"], mask=mask)
    assert (entry.id, entry.mask) == ("a", f"{root}/s/m.png")


def test_a_mask_of_a_manifest_is_known_among_the_images_too(make, tmp_path):
    root = make("a.tif", "m.png")
    path = table(tmp_path, "path,mask", f"file://{root}/a.tif,file://{root}/m.png")
    assert ids(path, root) == ["a"]


def test_a_mask_behind_a_url_stays_as_it_is_written(bucket):
    (entry,) = collect_entries([f"{bucket}/b.tif"], mask="{parent}/../masks/{stem}.png")
    assert entry.mask == f"{bucket}/../masks/b.png"


def test_one_mask_may_be_for_all(make):
    found = collect_entries([make("a.tif", "b.tif")], mask="/masks/all.png")
    assert {entry.mask for entry in found} == {"/masks/all.png"}


@pytest.mark.parametrize("pattern", ["{stm}.png", "{stem.__class__}.png", "{0}", "{}"])
def test_an_unknown_placeholder_lists_the_known_ones(make, pattern):
    with pytest.raises(ConfigError, match=r"unknown.*\{stem\}, \{name\}, \{parent\}, \{id\}"):
        collect_entries([make("a.tif")], mask=pattern)


def test_a_mask_pattern_that_names_the_images_themselves_is_an_error(make):
    with pytest.raises(ConfigError, match="names every image as a mask"):
        collect_entries([make("a.tif")], mask="{parent}/{name}")


@pytest.fixture
def bucket():
    system = fsspec.filesystem("memory")
    names = ("b.tif", "sub/a.png", "c.zarr/zarr.json", "c.zarr/d.tif", "notes.txt", ".e.tif")
    names += ("d/zarr.json", "d/c/0.tif", ".git/f.tif")
    for name in names:
        system.pipe(f"/test-collection/{name}", b"")
    system.pipe("/test-collection/out/run.json", RECORD.encode())
    system.pipe("/test-collection/out/f.png", b"")
    system.pipe("/test-collection/out/images/x.zarr/zarr.json", b"")
    yield "memory://test-collection"
    system.rm("/test-collection", recursive=True)


def test_a_folder_behind_a_url_is_searched_likewise(bucket):
    found = collect_entries([bucket + "/"])
    assert [entry.id for entry in found] == ["b", "c", "d", "sub/a"]
    assert found[-1].path == "memory:///test-collection/sub/a.png"
    assert ids(f"{bucket}/d") == ["d"]


def test_earlier_results_behind_a_url_are_passed_over_by_a_glob_too(bucket):
    assert ids(f"{bucket}/**/*.png") == ["sub/a"]
    assert ids(f"{bucket}/**/*.zarr") == ["c"]
    assert ids(f"{bucket}/out/f.png", f"{bucket}/out/images/x.*") == ["f", "x"]


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_a_record_of_another_program_behind_a_url_hides_no_image(bucket, content):
    fsspec.filesystem("memory").pipe("/test-collection/out/run.json", content)
    assert ids(bucket) == ["b", "c", "d", "out/f", "out/images/x", "sub/a"]
    assert ids(f"{bucket}/*/*.png") == ["out/f", "sub/a"]


def test_a_record_behind_a_url_is_asked_again_where_it_fails_for_the_moment(bucket, monkeypatch):
    system, failed = type(fsspec.filesystem("memory")), []
    plain = system.cat_file

    def fail(self, path, *args, **settings):
        if len(failed) < 2 and path.endswith("out/run.json"):
            failed.append(path)
            raise TimeoutError("the store did not answer")
        return plain(self, path, *args, **settings)

    monkeypatch.setattr(system, "cat_file", fail)
    assert ids(f"{bucket}/**/*.png") == ["sub/a"]
    assert len(failed) == 2
    failed.clear()
    assert ids(bucket) == ["b", "c", "d", "sub/a"]


def test_a_subfolder_that_cannot_be_listed_is_an_error(bucket, monkeypatch):
    system = fsspec.filesystem("memory")
    ls = type(system).ls

    def refuse(self, path, **settings):
        if path.endswith("/sub"):
            raise PermissionError("not yours")
        return ls(self, path, **settings)

    monkeypatch.setattr(type(system), "ls", refuse)
    with pytest.raises(ConfigError, match="cannot be listed: not yours"):
        collect_entries([bucket])


def test_a_glob_of_urls_and_a_single_url(bucket):
    assert ids(f"{bucket}/*.tif") == ["b"]
    assert ids(f"{bucket}/c.zarr") == ["c"]
    with pytest.raises(ConfigError, match="no image is there"):
        collect_entries([f"{bucket}/*.gif"])


def test_a_url_of_a_suffix_is_taken_at_its_word():
    (entry,) = collect_entries(["https://example.org/a/b.tif"])
    assert (entry.id, entry.path) == ("b", "https://example.org/a/b.tif")


def test_entries_are_values_that_travel(make):
    found = collect_entries([make("a.tif", "b.tif")], mask="/m/{id}.png")
    assert pickle.loads(pickle.dumps(found)) == found


def test_all_paths_that_name_nothing_are_told_at_once(make):
    root = make("a.tif", "empty/notes.txt")
    paths = [f"{root}/b.tif", f"{root}/a.tif", f"{root}/empty", f"{root}/*.png", f"{root}/b.tif"]
    with pytest.raises(ConfigError) as error:
        collect_entries(paths)
    first, second, third = str(error.value).splitlines()
    assert first == f"images.path: '{root}/b.tif': no such file or folder (looked at {root}/b.tif)"
    assert f"images.path: '{root}/empty': no image is there" in second
    assert f"images.path: '{root}/*.png': no image is there" in third


def test_what_is_no_file_but_looks_like_an_image_is_listed_to_be_refused(make, tmp_path):
    root = make("a.tif/b.png", "c.tif/notes.txt")
    (tmp_path / "gone.tif").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop.tif").symlink_to(tmp_path / "loop.tif")
    os.mkfifo(tmp_path / "pipe.tif")
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    assert ids(root) == ["a.tif/b", "c", "gone", "loop", "pipe"]
    assert ids(f"{root}/gone.tif", f"{root}/*.tif") == ["gone", "loop", "pipe"]
    reasons = {
        "c": "is a folder without zarr metadata",
        "gone": "is a link to .*nothing, which is gone",
        "loop": "symbolic links",
        "pipe": "is a named pipe, not a file",
    }
    for entry in collect_entries([root])[1:]:
        with pytest.raises(SourceError, match=rf"{entry.id}\.tif: .*{reasons[entry.id]}"):
            open_image(entry.path)


def test_a_folder_that_cannot_be_listed_is_an_error(make, monkeypatch):
    root = make("a.tif", "sub/b.tif")
    plain = os.scandir

    def refuse(folder):
        if str(folder).endswith("sub"):
            raise PermissionError(13, "not yours", folder)
        return plain(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ConfigError, match=r"sub' cannot be listed: .*not yours"):
        ids(root)


def table(tmp_path, *rows, name="manifest.csv"):
    (tmp_path / name).write_text("\n".join(rows) + "\n")
    return str(tmp_path / name)


def test_one_file_under_two_ids_of_a_manifest_is_two_images(tmp_path):
    path = table(tmp_path, "path,id,channels", "a.tif,one,0", "a.tif,two,1")
    assert [(e.id, e.channels) for e in collect_entries([path])] == [("one", (0,)), ("two", (1,))]


def test_a_file_listed_twice_is_one_image_unless_its_rows_differ(tmp_path):
    assert ids(table(tmp_path, "path,age", "a.tif,7", "./a.tif,7", "b.tif,7")) == ["a", "b"]
    with pytest.raises(ConfigError, match=r"'\./a.tif' is listed twice .*lines 2 and 3.* id"):
        ids(table(tmp_path, "path,age", "a.tif,7", "./a.tif,8"))


@pytest.mark.parametrize("first", ["folder", "manifest"])
@pytest.mark.parametrize("id", ["", "own"])
def test_what_a_manifest_says_of_a_file_counts_wherever_else_it_is_named(make, tmp_path, first, id):
    root = make("a.tif", "b.tif")
    path = table(tmp_path, "path,id,group", f"b.tif,{id},left")
    paths = [root, path] if first == "folder" else [path, root]
    groups = {entry.id: entry.group for entry in collect_entries(paths)}
    assert groups == {"a": None, id or "b": "left"}


def test_a_manifest_behind_a_url_names_what_lies_beside_it(bucket):
    system = fsspec.filesystem("memory")
    system.pipe("/test-collection/list.csv", b"path,mask\nb.tif,m/b.png\nsub/a.png,\n/x.tif,\n")
    found = collect_entries([f"{bucket}/list.csv"])
    assert [entry.path for entry in found] == [
        f"{bucket}/b.tif", f"{bucket}/sub/a.png", "/x.tif",
    ]  # fmt: skip
    assert found[0].mask == f"{bucket}/m/b.png"
    with pytest.raises(ConfigError, match=r"gone\.csv': cannot be read"):
        ids(f"{bucket}/gone.csv")


PARTS = st.text(st.sampled_from("aAé\u0301. /\\-\n:zr"), max_size=14)
ROWS = st.lists(
    st.tuples(st.one_of(PARTS, PARTS.map("../{}.tif".format), st.text(max_size=300)), PARTS),
    min_size=1, max_size=12,
)  # fmt: skip


@given(rows=ROWS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_name_makes_a_file_outside_the_output_nor_inside_another_image(tmp_path, rows):
    with open(tmp_path / "manifest.csv", "w", encoding="utf-8", errors="replace", newline="") as f:
        csv.writer(f).writerows([("path", "id"), *rows])
    try:
        found = collect_entries([str(tmp_path / "manifest.csv")])
    except ConfigError:  # an empty path, an id given twice
        return
    out = tmp_path / "out" / "images"
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    before = set(tmp_path.rglob("*"))
    stores = [Path(Store(str(tmp_path / "out")).join(image_path(entry.id))) for entry in found]
    for store in stores:
        store.mkdir(parents=True)  # each another, none there already
        assert out in store.resolve().parents
    assert all(out in path.parents or path in (out, out.parent)
               for path in set(tmp_path.rglob("*")) - before)  # fmt: skip
    for store in stores:
        assert not any(other in store.parents for other in stores)
