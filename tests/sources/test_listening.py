"""What decoders log and warn of is heard where it belongs."""

import logging
import threading
import warnings

import numpy as np
import pytest

from pipeline.errors import SourceError
from pipeline.grid import Box
from pipeline.sources.base import MOST_WARNINGS
from pipeline.sources.listening import listening
from pipeline.sources.memory import MemoryImage

LOG = logging.getLogger("tifffile")


def complain(words="odd"):
    warnings.warn(f"{words}\n  warning", UserWarning, stacklevel=1)
    LOG.warning("%s log", words)


def test_warnings_and_logs_are_heard_each_time_as_one_line():
    with listening() as heard:
        for _ in range(2):
            complain()
    assert heard == ["odd warning", "odd log"] * 2


def test_the_innermost_listener_hears_and_nothing_is_left_behind():
    before = (list(warnings.filters), warnings.showwarning, list(LOG.handlers))
    with listening() as outer:
        with listening() as inner:
            complain("inner")
        complain("outer")
    assert (outer, inner) == (["outer warning", "outer log"], ["inner warning", "inner log"])
    assert (list(warnings.filters), warnings.showwarning, list(LOG.handlers)) == before
    with pytest.warns(UserWarning, match="again"):
        complain("again")


def test_warnings_about_code_are_not_about_images():
    with listening() as heard, pytest.warns(DeprecationWarning, match="old"):
        warnings.warn("old function", DeprecationWarning, stacklevel=1)
    assert heard == []


def test_each_thread_hears_its_own():
    heard, barrier = {}, threading.Barrier(4)

    def listen(name):
        with listening() as found:
            barrier.wait()
            for _ in range(50):
                complain(name)
            barrier.wait()
        heard[name] = set(found)

    threads = [threading.Thread(target=listen, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == {f"t{n}": {f"t{n} warning", f"t{n} log"} for n in range(4)}


class Complaining(MemoryImage):
    """An array whose reader complains."""

    def describe(self):
        complain("header")
        return super().describe()

    def decode(self, box, channels):
        complain(f"pixels {box.start[0]}")
        return super().decode(box, channels)


def test_an_image_knows_what_was_said_of_it():
    image = Complaining(np.zeros((90, 4), np.uint8), "yx")
    assert image.info.warnings == ("header warning", "header log")
    for _ in range(2):
        image.read(Box((3, 0), (4, 4)))
    said = ("header warning", "header log", "pixels 3 warning", "pixels 3 log")
    assert image.warnings == said
    for y in range(60):
        image.read(Box((y, 0), (y + 1, 4)))
    assert len(image.warnings) == 2 + MOST_WARNINGS


def test_an_error_after_a_warning_is_an_error_all_the_same():
    class Broken(Complaining):
        def decode(self, box, channels):
            complain()
            raise ValueError("no such pixel")

    with pytest.raises(SourceError, match="no such pixel"):
        Broken(np.zeros((4, 4), np.uint8), "yx").read(Box((0, 0), (1, 1)))
