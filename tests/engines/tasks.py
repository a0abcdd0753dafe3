"""Tasks beside those of `chunkmeans.testing`; a module, so that every process imports them."""

import ctypes
import os
import threading
import time

from chunkmeans.engines.worker.deadline import limited
from chunkmeans.testing.tasks import (
    Marked,
    add_pairs,
    always,
    count_and_sum,
    entry_of,
    plus,
    square,
    square_or_fail,
    square_slowly,
)

__all__ = [
    "Marked",
    "add_pairs",
    "always",
    "count_and_sum",
    "entry_of",
    "plus",
    "square",
    "square_or_fail",
    "square_slowly",
]  # fmt: skip


def endless_after_five(number):
    if number >= 5:
        threading.Event().wait()
    return number


def unsendable(item):
    return threading.Lock() if item == 2 else item


def die_first(item):
    if item.number == 3 and item.mark() == 1:
        os._exit(1)
    return item.number**2


def die_always(item):
    if item == 3:
        os._exit(1)
    time.sleep(0.05)
    return item * item


def swallow_memory(item):
    hoard = []
    while item == 1:
        hoard.append(b"x" * 2**24)
        time.sleep(0.005)
    return item


def where(item):
    time.sleep(0.05)
    return {(item, os.getpid(), threading.get_ident())}


def union(a, b):
    return a | b


def fails_at_90(number):
    if number == 90:
        raise ValueError("90 is never liked")
    return number


def in_family(family, number):
    return family, number


def hang(number, lock=False):
    """Never come back, with or without the lock of Python; 0.3 seconds are allowed."""
    with limited(0.3, f"{number} takes too long"):
        ctypes.PyDLL(None).sleep(1000) if lock else threading.Event().wait()


def hang_at_three(item):
    item.mark()
    return hang(item.number) if item.number == 3 else item.number**2
