"""Each thread hears what it is warned of, and nobody else does."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from pipeline.steps.hearing import LONGEST, MOST, heard, hearing


def test_warnings_are_heard_once_each_and_are_no_errors():
    with hearing():
        for _ in range(2):
            warnings.warn("half of it is missing\nsays the codec", UserWarning, stacklevel=1)
        warnings.warn("x" * 1000, RuntimeWarning, stacklevel=1)
        warnings.warn("for developers", DeprecationWarning, stacklevel=1)
        first, second = heard()
    assert first == "UserWarning: half of it is missing says the codec"
    assert second.startswith("RuntimeWarning: xxx")
    assert len(second) == LONGEST
    assert heard() == []


def test_the_same_place_warns_every_image():
    for _ in range(3):
        with hearing():
            warnings.warn("again", stacklevel=1)
            assert heard() == ["UserWarning: again"]


def test_of_very_many_a_few_are_kept():
    with hearing():
        for n in range(2000):
            warnings.warn(str(n), stacklevel=1)
        assert len(heard()) == MOST


def test_threads_do_not_hear_each_other():
    together = Barrier(4)

    def work(name):
        with hearing():
            together.wait()
            warnings.warn(name, stacklevel=1)
            together.wait()
            return heard()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, "abcd")) == [[f"UserWarning: {name}"] for name in "abcd"]


def test_afterwards_everything_is_as_before():
    before = warnings.showwarning, list(warnings.filters)
    with pytest.raises(ZeroDivisionError), hearing():
        raise ZeroDivisionError
    assert (warnings.showwarning, list(warnings.filters)) == before
    with pytest.raises(UserWarning):  # as the settings of these tests want it
        warnings.warn("an error again", stacklevel=1)
