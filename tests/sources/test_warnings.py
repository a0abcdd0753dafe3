"""What is warned of while an image is worked on is heard where it belongs."""

import logging
import threading
import warnings
from contextlib import suppress
from functools import reduce
from itertools import permutations

import numpy as np
import pytest
from chunkmeans.errors import SourceError
from chunkmeans.image.grid import Box
from chunkmeans.sources.array import MemoryImage
from chunkmeans.sources.warnings import (
    LONGEST_WARNING,
    MOST_WARNINGS,
    add_warnings,
    collected_warnings,
    collecting_warnings,
)

LOG = logging.getLogger("tifffile")


def complain(words="odd"):
    warnings.warn(f"{words}\n  warning", UserWarning, stacklevel=1)
    LOG.warning("%s log", words)


def test_warnings_and_logs_are_heard_once_each_as_one_line():
    with collecting_warnings() as found:
        for _ in range(2):
            complain()
        warnings.warn("x" * 1000, RuntimeWarning, stacklevel=1)
        assert collected_warnings() == (
            "odd log",
            "odd warning",
            "x" * (LONGEST_WARNING - 3) + "...",
        )
    assert list(found)[:2] == ["odd warning", "odd log"]  # in the order of time
    assert collected_warnings() == ()


def test_the_same_place_warns_every_image():
    for _ in range(3):
        with collecting_warnings():
            warnings.warn("again", stacklevel=1)
            assert collected_warnings() == ("again",)


def test_the_innermost_hears_and_nothing_is_left_behind():
    before = (list(warnings.filters), warnings.showwarning, list(LOG.handlers))
    with collecting_warnings() as outer:
        with suppress(ZeroDivisionError), collecting_warnings() as inner:
            complain("inner")
            raise ZeroDivisionError
        complain("outer")
    assert list(inner) == ["inner warning", "inner log"]
    assert list(outer) == ["outer warning", "outer log"]
    assert (list(warnings.filters), warnings.showwarning, list(LOG.handlers)) == before
    with pytest.warns(UserWarning, match="again"):
        complain("again")


def test_warnings_about_code_are_not_about_images():
    with collecting_warnings() as found, pytest.warns(DeprecationWarning, match="old"):
        warnings.warn("old function", DeprecationWarning, stacklevel=1)
    assert not found


def test_of_very_many_a_few_are_kept():
    with collecting_warnings():
        for n in range(2500):
            warnings.warn(f"{n:04}", stacklevel=1)
        assert collected_warnings() == tuple(f"{n:04}" for n in range(MOST_WARNINGS))


def merged(a, b):
    with collecting_warnings():
        add_warnings((*a, *b))
        return collected_warnings()


def test_parts_merged_in_any_order_tell_what_the_whole_does():
    parts = [("c", "a"), ("k", "b", "j"), tuple("defghi"), ()]
    with collecting_warnings():
        add_warnings(text for part in parts for text in part)
        whole = collected_warnings()
    assert whole == tuple("abcdefgh")
    assert {reduce(merged, order) for order in permutations(parts)} == {whole}


def test_each_thread_hears_its_own():
    seen, barrier = {}, threading.Barrier(4)

    def listen(name):
        with collecting_warnings():
            barrier.wait()
            for _ in range(50):
                complain(name)
            barrier.wait()
            seen[name] = collected_warnings()

    threads = [threading.Thread(target=listen, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {f"t{n}": (f"t{n} log", f"t{n} warning") for n in range(4)}


def test_a_thread_that_does_not_hear_is_told_as_ever(capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    inside, done = threading.Event(), threading.Event()

    def listen():
        with collecting_warnings():
            inside.set()
            done.wait()

    other = threading.Thread(target=listen)
    other.start()
    inside.wait()
    with pytest.warns(UserWarning, match="mine"):
        complain("mine")
    done.set()
    other.join()
    assert capsys.readouterr().err == "mine log\n"


class Complaining(MemoryImage):
    """An array whose reader complains."""

    def describe(self):
        complain("header")
        return super().describe()

    def decode(self, box, channels):
        complain(f"pixels {box.start[0]}")
        return super().decode(box, channels)


def test_a_header_keeps_what_was_said_of_it_and_pixels_tell_who_reads_them():
    image = Complaining(np.zeros((90, 4), np.uint8), "yx")
    assert image.info.warnings == ("header warning", "header log")
    with collecting_warnings():
        for _ in range(2):
            image.read(Box((3, 0), (4, 4)))
        assert collected_warnings() == ("pixels 3 log", "pixels 3 warning")
    image.read(Box((3, 0), (4, 4)))  # nobody asks, nobody is told


def test_an_error_after_a_warning_is_an_error_all_the_same():
    class Broken(Complaining):
        def decode(self, box, channels):
            complain()
            raise ValueError("no such pixel")

    with pytest.raises(SourceError, match="no such pixel"):
        Broken(np.zeros((4, 4), np.uint8), "yx").read(Box((0, 0), (1, 1)))
