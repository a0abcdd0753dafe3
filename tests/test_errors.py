import inspect
import pickle

import pytest
from chunkmeans import errors
from chunkmeans.errors import ChunkmeansError, LimitError, SourceError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("ChunkmeansError", 1), ("ConfigError", 2), ("SourceError", 1), ("ChunkError", 1),
        ("ResultError", 2), ("ClusterError", 3),
    ],
)  # fmt: skip
def test_every_error_has_its_exit_code(name, code):
    assert getattr(errors, name).exit_code == code


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_one_that_chunkmeans_raises_and_stands_in_the_tree(kind):
    assert issubclass(kind, ChunkmeansError)
    assert kind.__name__ in errors.__doc__
    if kind is not ChunkmeansError:
        line = next(x for x in errors.__doc__.splitlines() if f"─ {kind.__name__}" in x)
        assert line.endswith(f"exit {kind.exit_code}")


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_comes_back_from_a_worker_as_it_was(kind):
    error = pickle.loads(pickle.dumps(kind("a.tif: is cut short")))
    assert (type(error), str(error)) == (kind, "a.tif: is cut short")


@pytest.mark.parametrize("kind", KINDS)
def test_what_caused_an_error_comes_back_with_it(kind):
    try:
        try:
            raise OSError(5, "input/output error")
        except OSError as cause:
            raise kind("a.tif: cannot be read") from cause
    except kind as error:
        error.add_note("while working on a.tif")
        found = pickle.loads(pickle.dumps(error))
    assert (type(found.__cause__), found.__cause__.errno) == (OSError, 5)
    assert found.__notes__ == ["while working on a.tif"]


class Odd(Exception):
    """An error of somebody else that does not survive pickling."""

    def __reduce__(self):
        raise TypeError("never")


def test_a_cause_that_cannot_be_sent_is_left_behind():
    error = SourceError("a.tif: cannot be read")
    error.__cause__ = Odd()
    kind, args, state, cause = error.__reduce__()[1]
    assert (kind, args, state, cause) == (SourceError, ("a.tif: cannot be read",), {}, None)


def test_a_limit_that_refused_is_named_wherever_the_error_goes():
    error = pickle.loads(pickle.dumps(LimitError("a.tif: 600 pixels", "pixels")))
    assert (str(error), error.limit) == ("a.tif: 600 pixels", "pixels")
