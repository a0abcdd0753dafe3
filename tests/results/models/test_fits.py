"""How far a fit is, written and found again."""

from pathlib import Path

import numpy as np
import pytest
from chunkmeans.errors import ResultError
from chunkmeans.kmeans.model import Iteration, Start
from chunkmeans.kmeans.progress import Progress
from chunkmeans.results.models.fits import fit_path, read_fit, write_fit
from chunkmeans.results.store.store import Store


def progress(starts=2, iterations=3, k=4, channels=2):
    """A fit of so many starts that has begun another one."""
    found, rng = Progress(), np.random.default_rng(1)
    for start in range(starts + 1):
        for index in range(1, iterations + 1):
            means, counts = rng.normal(size=(k, channels)), rng.integers(0, 9, k)
            found.running.add(Iteration(index, means, rng.random(), rng.random(), counts, (1,)))
        if start < starts:
            found.end(Start(rng.random(), iterations, rng.random(), converged=bool(start)))
    return found


def same_course(a, b):
    if a is None or b is None:
        return a is b
    bits = [None if c.means is None else c.means.tobytes() for c in (a, b)]
    return (
        (a.residuals, a.inertias, a.refilled) == (b.residuals, b.inertias, b.refilled)
        and bits[0] == bits[1]
        and np.array_equal(a.counts, b.counts)
    )


@pytest.mark.parametrize("saved", [progress(), progress(0), progress(1, 1), Progress()])
def test_a_fit_is_the_same_again(tmp_path, saved):
    store = Store(str(tmp_path))
    write_fit(store, "collection", "mark", saved)
    found = read_fit(store, "collection", "mark")
    assert found.starts == saved.starts
    assert same_course(found.of_best, saved.of_best)
    assert same_course(found.running, saved.running)


def test_a_fit_that_was_read_grows_as_it_would_have(tmp_path):
    store, saved = Store(str(tmp_path)), progress()
    write_fit(store, "collection", "mark", saved)
    found = read_fit(store, "collection", "mark")
    found.running.add(Iteration(4, np.zeros((4, 2)), 0.5, 0.25, np.arange(4)))
    write_fit(store, "collection", "mark", found)
    assert len(read_fit(store, "collection", "mark").running) == 4


def test_another_fit_is_none(tmp_path):
    store = Store(str(tmp_path))
    assert read_fit(store, "collection", "mark") is None
    write_fit(store, "collection", "mark", progress())
    assert read_fit(store, "collection", "other") is None
    assert read_fit(store, "groups/x", "mark") is None
    store.delete(fit_path("collection"))
    store.delete(fit_path("collection"))
    assert read_fit(store, "collection", "mark") is None


def test_every_byte_of_the_file_counts(tmp_path):
    store, saved = Store(str(tmp_path)), progress(1, 2, 2, 1)
    write_fit(store, "collection", "mark", saved)
    path = Path(tmp_path, fit_path("collection"))
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        data = bytearray(whole)
        data[at] ^= 2
        path.write_bytes(data)
        try:
            found = read_fit(store, "collection", "mark")
        except ResultError as error:
            assert "damaged" in str(error)  # noqa: PT017
        else:
            assert found is None or found.starts == saved.starts
    for length in range(0, len(whole), 11):
        path.write_bytes(whole[:length])
        with pytest.raises(ResultError, match="damaged"):
            read_fit(store, "collection", "mark")
