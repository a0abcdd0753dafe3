"""A fit that is stopped anywhere and gone on with is the fit that was not."""

from copy import deepcopy

import numpy as np
import pytest
from chunkmeans.errors import ChunkError
from chunkmeans.features.scale import ChannelScale
from chunkmeans.kmeans.fit import FitSettings, fit
from chunkmeans.kmeans.model import Iteration, Start
from chunkmeans.kmeans.progress import Iterations, Progress
from chunkmeans.kmeans.tree import TableSource
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.kmeans.examples import collect, column
from tests.support import strategies


def saves(values, settings, before=None):
    """Fit samples; return the fit, what was saved on the way, and the iterations it made."""
    collected, saved, made = collect(values), [], []
    found = fit(
        collected,
        settings,
        lambda metric: TableSource(collected.samples(), metric),
        lambda restart, iteration: made.append((restart, iteration.index)),
        before=before,
        keep=lambda progress: saved.append(deepcopy(progress)),
    )
    return found, saved, made


def same(a, b):
    assert a.means.tobytes() == b.means.tobytes()
    assert a.numbers.tolist() == b.numbers.tolist()
    assert a.occupied.tolist() == b.occupied.tolist()
    assert (a.starts, a.best) == (b.starts, b.best)
    assert a.iterations.residuals == b.iterations.residuals
    assert a.iterations.inertias == b.iterations.inertias
    assert np.array_equal(a.iterations.counts, b.iterations.counts)


@given(
    strategies.images(),
    st.builds(
        FitSettings,
        st.integers(1, 5),
        init=st.sampled_from(["random", "kmeans++"]),
        restarts=st.integers(1, 3),
        max_iterations=st.sampled_from([1, 3, 20]),
        threshold=st.sampled_from([0.0, 2.0]),
        empty=st.sampled_from(["farthest", "keep"]),
        scale=st.sampled_from([None, ChannelScale("standard")]),
    ),
    st.data(),
)
def test_a_fit_gone_on_with_ends_with_the_same_bits(image, settings, data):
    assume(len(image.samples))
    whole, saved, made = saves(image.samples, settings)
    number = data.draw(st.integers(0, len(saved) - 1))
    done = sum(start.iterations for start in saved[number].starts) + len(saved[number].running)
    again, _, rest = saves(image.samples, settings, deepcopy(saved[number]))
    same(again, whole)
    assert rest == made[done:]


def test_what_is_saved_grows_by_an_iteration_or_a_start():
    _, saved, made = saves(column(0, 1, 9, 10, 60, 61), FitSettings(3, restarts=2))
    done = [(len(progress.starts), len(progress.running)) for progress in saved]
    first = sum(restart == 0 for restart, _ in made)
    assert done == [*made[:first], (1, 0), *made[first:], (2, 0)]


def test_a_fit_that_ended_is_not_iterated_again():
    values, settings = column(0, 1, 9, 10), FitSettings(2, restarts=2)
    whole, saved, _ = saves(values, settings)
    again, _, made = saves(values, settings, saved[-1])
    same(again, whole)
    assert made == []


def test_a_group_emptied_later_is_refused_as_it_would_have_been():
    values = column(0, 1, 9, 10)
    settings = FitSettings(3, init=np.array([[0.0], [9.0], [90.0]]), empty="error")
    with pytest.raises(ChunkError, match="group 3 of 3 has no sample in iteration 1"):
        saves(values, settings, Progress())


def test_the_best_start_is_the_first_of_least_inertia():
    progress = Progress()
    for inertia in (5.0, 3.0, 3.0, 4.0):
        means = np.array([[inertia + len(progress.starts)]])
        progress.running.add(Iteration(1, means, 0.0, inertia, np.array([1])))
        progress.end(Start(inertia, 1, 0.0, True))
        assert len(progress.running) == 0
    assert progress.best == 1
    assert progress.of_best.end.tolist() == [[4.0]]


def test_groups_are_kept_that_have_samples_or_were_filled_again():
    course = Iterations()
    counts = np.array([0, 4, 0])
    course.add(Iteration(1, np.zeros((3, 1)), 1.0, 2.0, counts, refilled=(2,)))
    assert course.occupied.tolist() == [1, 2]


def test_a_start_without_an_iteration_has_no_means():
    with pytest.raises(ValueError, match="without an iteration"):
        Iterations().end  # noqa: B018
