"""What an output asks of an object store, and what becomes of its refusals."""

import errno

import pytest
from chunkmeans.errors import ConfigError, ResultError
from chunkmeans.results.store.object_store import ObjectStore
from chunkmeans.results.store.store import Store
from chunkmeans.retry import is_transient

from tests.support.object_store import OBJECTS, Told, objects, put


@pytest.fixture(autouse=True)
def empty():
    yield
    Told.tell = None
    OBJECTS.clear()


class Foreign(Exception):
    """An error of some package of a network."""

    status = 403


def fail(request, error, times=10**9):
    """Let requests of this name fail, so many times."""
    left = [times]

    def tell(when, name, path, nbytes):
        if (when, name) == ("before", request) and left[0]:
            left[0] -= 1
            raise error

    Told.tell = tell


def test_of_two_that_create_an_object_one_succeeds():
    bucket = ObjectStore({})
    assert bucket.create("told://out/a", b"mine")
    assert not bucket.create("told://out/a", b"theirs")
    assert bucket.get("told://out/a") == b"mine"


@pytest.mark.parametrize("error", [NotImplementedError(), OSError(errno.ENOSYS, "unknown header")])
def test_where_a_store_cannot_create_an_object_is_put(monkeypatch, error):
    plain = Told.pipe_file

    def without(self, path, value, mode="overwrite"):
        if mode == "create":
            raise error
        plain(self, path, value)

    monkeypatch.setattr(Told, "pipe_file", without)
    assert ObjectStore({}).create("told://out/a", b"mine")
    assert objects("told://out") == {"a": b"mine"}


def test_an_object_that_came_in_between_is_noticed_whatever_the_store_calls_that(monkeypatch):
    def raced(self, path, value, mode="overwrite"):
        OBJECTS[path] = b"theirs"
        raise OSError(errno.EINVAL, "a condition was not met")

    monkeypatch.setattr(Told, "pipe_file", raced)
    assert not ObjectStore({}).create("told://out/a", b"mine")
    assert objects("told://out") == {"a": b"theirs"}


@pytest.mark.parametrize("request_", ["head", "list", "get", "put", "delete"])
def test_a_foreign_refusal_is_an_error_that_names_path_and_cause(request_):
    store = Store("told://out")
    put("told://out/a", b"x")
    fail(request_, Foreign("keys are wrong"))
    acts = {
        "head": lambda: store.exists("a"),
        "list": lambda: store.names(),
        "get": lambda: store.read_text("a"),
        "put": lambda: store.write_text("a", "y"),
        "delete": lambda: store.delete("a"),
    }
    with pytest.raises(ResultError, match="keys are wrong") as caught:
        acts[request_]()
    assert "told://out" in str(caught.value)
    assert "storage_options" in str(caught.value)
    assert not is_transient(caught.value)


def test_a_failure_for_the_moment_is_none_where_it_has_passed():
    store = Store("told://out")
    fail("put", TimeoutError("late"), times=2)
    store.write_text("a", "x")
    assert objects("told://out") == {"a": b"x"}


def test_a_failure_that_may_pass_says_so_when_it_does_not():
    fail("head", ConnectionResetError("cut"))
    with pytest.raises(ResultError) as caught:
        Store("told://out").exists("a")
    assert is_transient(caught.value)


def test_what_cannot_be_looked_up_does_not_count_as_missing():
    store = Store("told://out")
    put("told://out/a/b", b"x")
    fail("head", PermissionError("forbidden"))
    for look in (store.exists, store.is_folder):
        with pytest.raises(ResultError, match="forbidden"):
            look("a")


def test_objects_that_a_store_does_not_delete_without_a_word_are_an_error(monkeypatch):
    put("told://out/a/b", b"x")
    monkeypatch.setattr(Told, "rm", lambda self, path, recursive: None)
    with pytest.raises(ResultError, match="1 objects are still there"):
        Store("told://out").delete("a")


def test_a_zarr_store_loses_its_mark_before_anything_else():
    deleted = []
    for name in ("zarr.json", "0/c/0"):
        put(f"told://out/a/{name}", b"x")

    def tell(when, request, path, nbytes):
        if (when, request) == ("after", "delete"):
            deleted.append(sorted(objects("told://out/a")))

    Told.tell = tell
    Store("told://out").delete("a")
    assert deleted == [["0/c/0"], []]


def test_names_that_would_be_patterns_are_refused():
    with pytest.raises(ConfigError, match=r"run\[1\]"):
        Store("s3://bucket/run[1]")


def test_a_missing_package_is_an_error_that_says_what_to_install(monkeypatch):
    def missing(url, **options):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(ConfigError, match=r"pip install 'chunkmeans\[s3\]'"):
        Store("s3://bucket/out").exists("run.json")
