import inspect
import pickle

import pytest

from pipeline import errors
from pipeline.errors import ChunkmeansError

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
