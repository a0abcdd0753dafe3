import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from chunkmeans.engines.pixel_cache import PIXEL_CACHE, PixelCache, release_family
from hypothesis import given
from hypothesis import strategies as st


def get(cache, key, size=1, limit=10, log=None):
    def load():
        if log is not None:
            log.append(key)
        return bytes(size)

    return cache.get_or_load(key, load, nbytes=len, limit=limit)


def test_what_is_kept_is_not_loaded_again():
    cache, log = PixelCache(), []
    assert get(cache, "a", log=log) is get(cache, "a", log=log)
    assert log == ["a"]


def test_the_longest_unused_goes_first():
    cache, log = PixelCache(), []
    for key in "abca":  # c is the third: room for three
        get(cache, key, size=3, log=log)
    get(cache, "d", size=3, log=log)
    for key in "acd":
        get(cache, key, size=3, log=log)
    assert "".join(log) == "abcd"
    get(cache, "b", size=3, log=log)
    assert log[-1] == "b"


def test_passes_in_a_circle_find_what_fitted():
    cache, log = PixelCache(), []
    for _ in range(3):
        for chunk in range(5):
            get(cache, ("image", chunk), size=3, log=log)
    fitting = [("image", chunk) for chunk in range(3)]
    others = [("image", chunk) for chunk in (3, 4)]
    assert log == fitting + others * 3
    get(cache, ("next image", 0), size=8, log=log)
    get(cache, ("next image", 0), size=8, log=log)
    assert log[-1:] == [("next image", 0)]
    assert cache.nbytes == 8


def test_a_value_larger_than_the_limit_is_returned_and_not_kept():
    cache, log = PixelCache(), []
    for _ in range(2):
        assert len(get(cache, "a", size=11, log=log)) == 11
    assert log == ["a", "a"]
    assert cache.nbytes == 0


def test_a_smaller_limit_shrinks_the_cache():
    cache = PixelCache()
    for key in "abc":
        get(cache, key, size=3)
    get(cache, "d", size=1, limit=4)
    assert cache.nbytes == 4


@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 15), st.sampled_from(["get", "release"])))
)
def test_it_never_has_more_than_the_limit_and_counts_right(steps):
    cache, sizes = PixelCache(), {}
    for key, size, step in steps:
        if step == "release":
            cache.release(key)
        else:
            size = sizes.setdefault(key, size)
            assert len(get(cache, (key, "values"), size=size)) == size
        held = {key for key, _ in cache._entries}
        assert cache.nbytes == sum(sizes[key] for key in held) <= 10


def test_release_drops_one_run_only():
    cache, log = PixelCache(), []
    for key in [("run 1", 0), ("run 1", 1), ("run 2", 0), "run 1"]:
        get(cache, key, log=log)
    cache.release("run 1")
    assert cache.nbytes == 1
    get(cache, ("run 2", 0), log=log)
    assert len(log) == 4


def test_two_threads_that_want_the_same_load_it_once():
    cache, log, loading, go = PixelCache(), [], threading.Event(), threading.Event()

    def load():
        log.append(1)
        loading.set()
        assert go.wait(240)
        return "value"

    def held():
        return cache.get_or_load("a", load, nbytes=len, limit=10)

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(held)
        assert loading.wait(240)
        others = [pool.submit(held) for _ in range(3)]
        get(cache, "b")  # another key does not wait
        go.set()
        assert {f.result(240) for f in [first, *others]} == {"value"}
    assert log == [1]


def test_after_a_failed_load_the_next_thread_loads_itself():
    cache, calls, loading, go = PixelCache(), [], threading.Event(), threading.Event()

    def load():
        calls.append(1)
        if len(calls) == 1:
            loading.set()
            assert go.wait(240)
            raise OSError("away")
        return "value"

    def held():
        return cache.get_or_load("a", load, nbytes=len, limit=10)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(held)
        assert loading.wait(240)
        second = pool.submit(held)
        go.set()
        with pytest.raises(OSError, match="away"):
            first.result(240)
        assert second.result(240) == "value"


def test_the_process_has_one_whose_families_can_be_released():
    log = []

    def load():
        log.append(1)
        return b"x"

    for _ in range(2):
        PIXEL_CACHE.get_or_load(("test", 1), load, nbytes=len, limit=10)
    PIXEL_CACHE.release("another")
    PIXEL_CACHE.get_or_load(("test", 1), load, nbytes=len, limit=10)
    assert len(log) == 1
    release_family("test")
    PIXEL_CACHE.get_or_load(("test", 1), load, nbytes=len, limit=10)
    PIXEL_CACHE.release("test")
    assert len(log) == 2


class TestGetOrLoadIfRoom:
    def test_what_has_room_is_kept(self):
        cache = PixelCache()
        loads = []
        for _ in range(2):
            found = cache.get_or_load_if_room(
                ("a", 1), lambda: loads.append(1) or 7, nbytes=5, limit=5
            )
            assert found == 7
        assert (len(loads), cache.nbytes) == (1, 5)

    def test_what_has_none_is_not_even_made(self):
        cache = PixelCache()
        cache.get_or_load(("a", 1), lambda: 1, nbytes=lambda _: 3, limit=5)
        assert cache.get_or_load_if_room(("a", 2), lambda: 1 / 0, nbytes=3, limit=5) is None
        assert cache.nbytes == 3

    def test_another_family_makes_room(self):
        cache = PixelCache()
        cache.get_or_load(("b", 1), lambda: 1, nbytes=lambda _: 5, limit=5)
        assert cache.get_or_load_if_room(("a", 2), lambda: 2, nbytes=3, limit=5) == 2
        assert cache.nbytes == 3
