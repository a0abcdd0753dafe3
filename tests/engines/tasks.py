"""Tasks that the tests give to engines; in a module, so that every process can import them."""

import ctypes
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from chunkmeans.engines.worker.deadline import limited


@dataclass(frozen=True)
class Marked:
    """An item with a folder in which its task leaves marks, seen by all processes."""

    number: int
    folder: str

    def mark(self) -> int:
        """Leave a mark, and return how many this item has left."""
        marks = Path(self.folder)
        count = len(list(marks.glob(f"{self.number}-*"))) + 1
        (marks / f"{self.number}-{count}-{os.getpid()}-{threading.get_ident()}").touch()
        return count


class Awkward(Exception):
    """An error that does not pickle."""

    def __reduce__(self):
        raise TypeError("never")


def square(number):
    return number * number


def square_slowly(number):
    time.sleep(0.02)
    return number * number


def endless_after_five(number):
    if number >= 5:
        threading.Event().wait()
    return number


def mark_slowly(item):
    item.mark()
    time.sleep(0.2)
    return item.number


def square_or_fail(number):
    if number % 5 == 3:
        raise ValueError(f"{number} is not liked")
    return number * number


def passing_error_first(item):
    if item.number % 3 == 0 and item.mark() == 1:
        raise OSError(f"the network slept at {item.number}")
    return item.number**2


def always(error, item):
    if isinstance(item, Marked):
        item.mark()
    raise error


def awkward(item):
    raise Awkward(f"{item} and more")


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


def look_up(table, item):
    return int(table[item]), os.getpid()


def where(item):
    time.sleep(0.05)
    return {(item, os.getpid(), threading.get_ident())}


def union(a, b):
    return a | b


def add(a, b):
    return a + b


def add_pairs(a, b):
    return a[0] + b[0], a[1] + b[1]


def count_and_sum(number):
    return 1, number


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
