import errno
import os
import pickle

import pytest
from chunkmeans.errors import ConfigError, ResultError
from chunkmeans.results.store.store import Store


def test_a_text_is_read_as_it_was_written(any_store):
    any_store.write_text("a/b.txt", "Größe\r\n\udc80=1")
    assert any_store.read_text("a/b.txt") == "Größe\r\n\udc80=1"
    any_store.write_text("a/b.txt", "again")
    assert any_store.read_text("a/b.txt") == "again"


def test_a_root_tells_what_it_holds(any_store):
    assert any_store.files() == []
    assert any_store.names() == []
    assert not any_store.exists("a")
    for name in ("a/b.txt", "a/c/d.txt", "e.txt"):
        any_store.write_text(name, name)
    assert any_store.files() == ["a/b.txt", "a/c/d.txt", "e.txt"]
    assert any_store.files("a") == ["b.txt", "c/d.txt"]
    assert any_store.names() == ["a", "e.txt"]
    assert any_store.names("a") == ["b.txt", "c"]
    assert any_store.exists("a")
    assert any_store.exists("a/c/d.txt")


def test_what_is_deleted_is_gone_and_the_rest_stays(any_store):
    any_store.write_text("a/zarr.json", "{}")
    any_store.write_text("a/b/c", "x")
    any_store.write_text("d", "x")
    any_store.delete("a")
    any_store.delete("never there")
    assert any_store.files() == ["d"]
    any_store.delete("d")
    assert any_store.files() == []


def test_a_zarr_store_loses_its_mark_before_anything_else(tmp_path, monkeypatch):
    store = Store(str(tmp_path))
    store.write_text("a/zarr.json", "{}")
    store.write_text("a/b", "x")

    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.delete("a")
    assert store.files("a") == ["b"]


def test_a_missing_file_is_an_error_that_names_it(any_store):
    with pytest.raises(ResultError, match=r"out/run\.json: cannot be read"):
        any_store.read_text("run.json")


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/x", "a//b", "a\\b", "a\0b", ".", "a/."]
)
def test_nothing_leads_out_of_the_root(any_store, name):
    for act in (any_store.read_text, any_store.delete, any_store.exists, any_store.zarr):
        with pytest.raises(ResultError, match="is not the name of something inside"):
            act(name)
    with pytest.raises(ResultError, match="is not the name of something inside"):
        any_store.write_text(name, "x")


def test_storage_options_are_never_shown():
    store = Store("memory://x", {"secret": "canary"})
    assert "canary" not in repr(store)
    assert "canary" not in str(store)
    assert pickle.loads(pickle.dumps(store)) == store
    assert hash(store) == hash(Store("memory://x"))


def test_a_relative_folder_is_the_same_one_for_a_process_that_works_elsewhere(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    sent = pickle.dumps(Store("out"))
    monkeypatch.chdir("/")
    assert pickle.loads(sent).folder == tmp_path / "out"
    assert pickle.loads(pickle.dumps(Store("memory://out"))) == Store("memory://out")


def test_a_password_in_a_url_is_refused_without_repeating_it():
    with pytest.raises(ConfigError, match="storage_options") as caught:
        Store("ftp://me:canary@host/out")
    assert "canary" not in str(caught.value)
    Store("abfs://container@account.dfs.core.windows.net/out")  # no password


def test_an_empty_path_is_refused():
    with pytest.raises(ConfigError, match=r"results\.path is empty"):
        Store("")


def test_an_unknown_scheme_says_what_to_install():
    with pytest.raises(ConfigError, match=r"nowhere://x/run\.json: fsspec cannot open this URL"):
        Store("nowhere://x").read_text("run.json")


def test_a_file_url_is_a_folder(tmp_path):
    store = Store(f"file://{tmp_path}/a%20b")
    store.write_text("x", "y")
    assert (tmp_path / "a b" / "x").read_text() == "y"


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EROFS, "choose a results.path"),
        (errno.EACCES, "may this user write"),
        (errno.EIO, "cannot be written: Input/output error"),
    ],
)
def test_a_disk_that_refuses_is_an_error_that_says_what_to_do(tmp_path, monkeypatch, number, hint):
    store = Store(str(tmp_path))
    store.write_text("run.json", "old")

    def refuse(handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(ResultError, match=hint) as caught:
        store.write_text("run.json", "new")
    assert str(tmp_path / "run.json") in str(caught.value)
    assert store.read_text("run.json") == "old"
    assert store.files() == ["run.json"]


def test_a_file_where_a_folder_is_needed_is_an_error(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ResultError, match="out"):
        Store(str(tmp_path / "out")).write_text("run.json", "x")


def test_a_text_reaches_the_disk_before_its_name_does(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr("os.fsync", lambda handle: (steps.append("sync"), fsync(handle)))
    monkeypatch.setattr("os.replace", lambda old, new: (steps.append("rename"), replace(old, new)))
    Store(str(tmp_path)).write_text("run.json", "x")
    assert steps == ["sync", "rename", "sync"]


def test_a_folder_that_cannot_be_synced_is_passed_over(tmp_path, monkeypatch):
    fsync = os.fsync

    def only_files(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(handle)

    monkeypatch.setattr("os.fsync", only_files)
    store = Store(str(tmp_path))
    store.write_text("a/b", "x")
    store.sync("")
    assert store.read_text("a/b") == "x"


def test_failures_that_may_pass_stay_what_they_are_where_engines_try_again(tmp_path):
    store = Store(str(tmp_path))
    with pytest.raises(TimeoutError), store.naming("x", "cannot", may_pass=True):
        raise TimeoutError(errno.ETIMEDOUT, "timed out")
    with pytest.raises(ResultError, match="free some"), store.naming("x", "cannot", may_pass=True):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_lines_are_written_as_one_file_or_not_at_all(any_store):
    any_store.write_lines("a/table.csv", (f"{n}\n" for n in range(3)))
    assert any_store.read_text("a/table.csv") == "0\n1\n2\n"

    def broken():
        yield "new\n"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        any_store.write_lines("a/table.csv", broken())
    assert any_store.read_text("a/table.csv") == "0\n1\n2\n"
    assert any_store.files() == ["a/table.csv"]


def test_very_many_lines_reach_an_object_store_whole(any_store):
    any_store.write_lines("table.csv", (f"{n:099}\n" for n in range(100_000)))
    text = any_store.read_text("table.csv")
    assert [int(line) for line in text.splitlines()] == list(range(100_000))


def test_a_file_is_created_once(any_store):
    assert any_store.create_text("a", "mine")
    assert not any_store.create_text("a", "theirs")
    assert any_store.read_text("a") == "mine"


def test_files_that_should_be_there_and_are_not_are_told(any_store):
    for name in ("a/one", "a/b/two"):
        any_store.write_text(name, "text")
    expected = ["one", "b/two", "b/three", "b"]
    assert any_store.missing("a", expected) == ["b/three", "b"]
    assert any_store.missing("nothing", ["one"]) == ["one"]


def test_temporary_files_of_a_folder_are_swept_and_nothing_else(any_store):
    for name in ("a.csv", "a.csv.1f.partial", "b/c.0d.partial"):
        any_store.write_text(name, "x")
    assert any_store.sweep() == ["a.csv.1f.partial"]
    assert any_store.files() == ["a.csv", "b/c.0d.partial"]
    assert any_store.sweep("b") == ["c.0d.partial"]
    assert any_store.sweep("nothing") == []


def test_images_are_found_in_folders_of_folders(any_store):
    assert any_store.image_names() == []
    for name in ("b", "in/a", "in/deep/b c"):
        any_store.write_text(f"images/{name}.ome.zarr/zarr.json", "{}")
        any_store.write_text(f"images/{name}.ome.zarr/0/c/0/0", "")
    any_store.write_text("images/notes.txt", "mine")
    assert sorted(any_store.image_names()) == ["b", "in/a", "in/deep/b c"]
