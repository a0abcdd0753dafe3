import re
from dataclasses import replace

import numpy as np
import pytest
from chunkmeans.errors import ResultError
from chunkmeans.results.models.models import (
    has_model,
    model_names,
    model_path,
    numbers,
    read_model,
    write_model,
)
from chunkmeans.results.read.open_results import open_segmented
from chunkmeans.results.store.store import Store
from hypothesis import given
from hypothesis import strategies as st

from tests.results.examples import (
    assert_same_model,
    begin,
    finish,
    finished,
    image_info,
    image_labels,
    model,
    write_all,
)


@given(
    k=st.integers(1, 9),
    channels=st.integers(1, 7),
    iterations=st.integers(0, 9),
    seed=st.integers(0, 2**32),
)
def test_a_model_is_read_as_it_was_written(tmp_path_factory, k, channels, iterations, seed):
    store = Store(str(tmp_path_factory.mktemp("out")))
    before = model(k, channels, iterations, seed=seed)
    write_model(store, None, before)
    assert_same_model(read_model(store), before)


def test_scopes_have_models_of_their_own(any_store):
    models = {name: model(seed=i) for i, name in enumerate([None, "größe", "slide 7"])}
    for name, one in models.items():
        write_model(any_store, name, one)
    assert model_names(any_store) == list(models)
    for name, one in models.items():
        assert_same_model(read_model(any_store, name), one)


NAMES = [
    "a/b", "a_b", "..", ".", "/etc", "zarr.json", "collection", "groups", "", " ", "nul", "A", "a",
    "n\0ul", "back\\slash", "x" * 5000, "größe", "grösse", "gro\u0308ße", "\ud800",
]  # fmt: skip


def test_a_group_may_have_any_name(any_store):
    models = {name: model(seed=i) for i, name in enumerate(NAMES)}
    for name, one in models.items():
        write_model(any_store, name, one)
        assert has_model(any_store, name)

    assert set(model_names(any_store)) == set(NAMES)
    for name, one in models.items():
        assert_same_model(read_model(any_store, name), one)
    assert not has_model(any_store)
    assert {name.split("/")[0] for name in any_store.files()} == {"model.zarr"}


@given(st.lists(st.text(), unique=True, min_size=2))
def test_paths_of_groups_are_unique_and_safe_whatever_their_names(names):
    paths = [model_path(name) for name in names]
    assert len({path.lower() for path in paths}) == len(names)
    for path in paths:
        assert re.fullmatch(r"model\.zarr/groups/\w{0,40}-[0-9a-f]{16}", path, re.ASCII)


def test_a_group_called_collection_is_not_the_collection(any_store):
    write_model(any_store, "collection", model())
    assert model_names(any_store) == ["collection"]
    with pytest.raises(ResultError, match="no model of the collection; there are 'collection'"):
        read_model(any_store)


def test_a_model_is_replaced_by_a_smaller_one(any_store):
    write_model(any_store, None, model(9, iterations=50))
    write_model(any_store, None, model(2, iterations=1))
    assert_same_model(read_model(any_store), model(2, iterations=1))


def test_a_large_history_is_cut_into_chunks(tmp_path):
    store, before = Store(str(tmp_path)), model(2**12, 1, 600)
    write_model(store, None, before)
    assert_same_model(read_model(store), before)
    assert "model.zarr/collection/history/c/2/0" in store.files()


@pytest.mark.parametrize("k", [4, 300])
def test_an_image_keeps_a_large_model_as_arrays_and_nobody_notices(any_store, k):
    labels = image_labels((40, 30), k)
    iterations = 65_536 // k
    fit = model(k, 3, iterations, counts=np.bincount(labels.ravel(), minlength=k + 1)[1:])
    writer = begin(any_store, image_info((40, 30)), k)
    write_all(writer, labels)
    finish(writer, fit, {})
    image = open_segmented(any_store, "images/a.ome.zarr")
    assert numbers(fit) > 65_536
    assert image.attributes["model"] == {"stored": "model"}
    assert "model/means/zarr.json" in any_store.files("images/a.ome.zarr")
    assert_same_model(image.model, fit)


def test_an_image_keeps_a_small_model_in_its_attributes(any_store):
    fit = finished(any_store, image_info((40, 30)), image_labels((40, 30)))
    image = open_segmented(any_store, "images/a.ome.zarr")
    assert image.attributes["model"]["means"] == fit.means.tolist()
    assert_same_model(image.model, fit)


def test_numbers_beyond_the_floats_survive(any_store):
    before = replace(model(), inertia=float("inf"), inertias=np.array([np.inf, np.nan, 1.0]))
    write_model(any_store, None, before)
    after = read_model(any_store)
    assert after.inertia == np.inf
    np.testing.assert_array_equal(after.inertias, before.inertias)


def test_a_missing_model_is_an_error_that_names_those_there_are(any_store):
    with pytest.raises(ResultError, match="each image has a model of its own"):
        read_model(any_store)
    write_model(any_store, "north", model())
    with pytest.raises(ResultError, match="no model of group 'south'; there are 'north'"):
        read_model(any_store, "south")


def test_half_a_model_is_none(any_store, monkeypatch):
    write_model(any_store, "north", model())
    any_store.delete(f"{model_path('north')}/zarr.json")
    assert model_names(any_store) == []
    assert not has_model(any_store, "north")


def test_a_damaged_model_is_an_error_that_names_it(tmp_path):
    store = Store(str(tmp_path))
    write_model(store, None, model())
    path = tmp_path / "model.zarr" / "collection" / "means" / "c" / "0" / "0"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ResultError, match=r"model\.zarr/collection: the model is damaged"):
        read_model(store)
    (tmp_path / "model.zarr" / "collection" / "zarr.json").write_text("{")
    with pytest.raises(ResultError, match="is damaged"):
        read_model(store)


def test_a_model_with_a_missing_array_is_damaged(tmp_path):
    store = Store(str(tmp_path))
    write_model(store, None, model())
    store.delete("model.zarr/collection/means/c")
    with pytest.raises(ResultError, match="means has holes"):
        read_model(store)
