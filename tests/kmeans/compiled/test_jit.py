"""Compiled once for all types of pixels, and kept where it is neither stale nor another's."""

import os

import numpy as np
import pytest
from chunkmeans.kmeans.compiled import assign, jit, sums, tree
from chunkmeans.kmeans.compiled.calls import STEPS
from chunkmeans.kmeans.counting import sketch
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.metric import Metric
from chunkmeans.kmeans.samples import Samples
from chunkmeans.kmeans.tree import Tree
from numba.core.ccallback import CFunc

from tests.kmeans.examples import CANONICAL, collect


def variants(array):
    """An array as it comes from a computation, from a message, and cut out of a larger one."""
    received = np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape)
    return array, received, np.repeat(array, 2, axis=0)[::2]


@pytest.mark.parametrize("dtype", CANONICAL)
def test_no_type_of_pixels_and_no_layout_is_compiled_for_anew(dtype):
    rng = np.random.default_rng(0)
    loops = (
        assign.assign.loop, assign.nearest_distances.loop, assign.list_far.loop,
        sums.add_nearest.loop,
        sums.add_moments.loop, sketch.insert, tree.learn, tree.route.loop, tree.scatter,
        tree.describe.loop, tree.walk_on,
    )  # fmt: skip
    values = rng.integers(0, 99, (900, 4)).astype(dtype)
    means = values[:5].astype(np.float64)
    metric = Metric(np.ones(4))
    expected = None
    for seen, given in zip(variants(values), variants(means), strict=True):
        samples, numbers = Samples(seen), np.arange(5, dtype=np.uint8)
        for out in (np.empty(900, np.uint8), np.empty(900, np.uint16)):
            metric.labels(seen, given, numbers, out)
        Moments.of(samples, out, 5)
        metric.farthest(seen, given, 2)
        metric.squared_distances(seen, given)
        collect(np.ascontiguousarray(seen))
        found = metric.sums(samples, given)
        grown = Tree.of(samples, metric).partial_sums(given, metric)
        expected = expected or found
        assert found.sums == expected.sums == grown.sums
    assert {loop.__name__: len(loop.signatures) for loop in loops} == {
        loop.__name__: 1 for loop in loops
    }


def test_a_change_of_any_module_makes_all_stale(tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "HERE", tmp_path)
    stamps = []
    for text in ("a = 1", "a = 2"):
        (tmp_path / "exact.py").write_text(text)
        stamps.append(jit.source_stamp.__wrapped__())
    assert len(set(stamps)) == 2
    monkeypatch.undo()
    assert assign.assign.loop._cache._impl.locator.get_source_stamp() == jit.source_stamp()
    assert assign.assign.loop._cache._cache_file._source_stamp == jit.source_stamp()


def test_an_index_of_other_modules_is_not_even_unpickled(tmp_path, monkeypatch):
    file = assign.assign.loop._cache._cache_file
    other = type(file)(str(tmp_path), "index", "another stamp")
    other._version = f"{other._version} another stamp"
    other._save_index({"class": "that is gone"})
    other._version = file._version
    monkeypatch.setattr("numba.core.caching.pickle.loads", None)
    assert other._load_index() == {}


def function():
    return 0


def test_where_nothing_else_can_be_written_a_folder_of_the_users_own_is(tmp_path, monkeypatch):
    monkeypatch.setattr(jit.tempfile, "gettempdir", lambda: str(tmp_path))
    place = jit._Temporary.from_function(function, __file__)
    own = tmp_path / f"chunkmeans-{os.getuid()}"
    assert own in type(tmp_path)(place.get_cache_path()).parents
    assert own.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_can_write_to_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(jit.tempfile, "gettempdir", lambda: str(tmp_path))
    own = tmp_path / f"chunkmeans-{os.getuid()}"
    own.mkdir()
    own.chmod(0o777)
    assert jit._Temporary.from_function(function, __file__) is None


def test_without_any_place_it_is_compiled_all_the_same(monkeypatch):
    monkeypatch.setattr(jit._Kept, "_locator_classes", [])
    assert jit.compiled(function)() == 0


@pytest.mark.parametrize("name", STEPS._fields)
def test_a_step_allocates_nothing_as_its_errors_would_be_lost(name):
    step = getattr(STEPS, name)
    types = step.signature.args, step.signature.return_type
    anew = CFunc(step.function, types, {}, {})  # what comes from the cache cannot be looked into
    anew.compile()
    assert "NRT_MemInfo_alloc" not in anew.inspect_llvm()
