"""Of a picture that decodes as a whole only one copy is made, and no large one stays behind."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from chunkmeans.sources.decode.cache import SMALL_PICTURE, PictureCache


class Picture:
    """Counts how often it is decoded."""

    def __init__(self, nbytes=1):
        self.nbytes, self.decoded = nbytes, 0

    def load(self):
        self.decoded += 1
        return self


def get(kept, picture, *, last=False):
    found = kept.get(id(picture), picture.load, picture.nbytes, last=last)
    assert found is picture


@pytest.mark.parametrize("nbytes", [1, SMALL_PICTURE + 1])
def test_a_picture_is_decoded_once_for_all_threads(nbytes):
    kept, picture, started = PictureCache(), Picture(nbytes), Event()

    def load():
        started.wait()
        return picture.load()

    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(kept.get, "a", load, nbytes, last=False) for _ in range(4)]
        started.set()
        assert all(one.result() is picture for one in found)
    assert picture.decoded == 1


def test_only_the_last_picture_is_kept():
    kept, a, b = PictureCache(), Picture(), Picture()
    for picture in (a, a, b, b, a):
        get(kept, picture)
    assert (a.decoded, b.decoded) == (2, 1)


def test_a_large_picture_goes_when_its_end_was_asked_for_and_a_small_one_stays():
    kept, large, small = PictureCache(), Picture(SMALL_PICTURE + 1), Picture(SMALL_PICTURE)
    get(kept, large)
    get(kept, large, last=True)
    get(kept, large)
    assert large.decoded == 2
    get(kept, small, last=True)
    get(kept, small)
    assert small.decoded == 1


def test_a_large_picture_goes_before_another_is_decoded():
    kept, large = PictureCache(), Picture(SMALL_PICTURE + 1)
    get(kept, large)

    def load():
        assert kept.last is None
        return "other"

    assert kept.get("other", load, 1, last=False) == "other"


@pytest.mark.parametrize("nbytes", [1, SMALL_PICTURE + 1])
def test_an_error_is_raised_and_nothing_is_kept_of_it(nbytes):
    kept, picture = PictureCache(), Picture(nbytes)

    def broken():
        raise OSError("cut short")

    for _ in range(2):
        with pytest.raises(OSError, match="cut short"):
            kept.get(id(picture), broken, nbytes, last=False)
    get(kept, picture)
