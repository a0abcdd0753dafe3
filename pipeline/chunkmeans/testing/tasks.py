"""Tasks that `EngineTests` gives to engines; in a module, so that every process can import them."""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn


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


class Unpicklable(Exception):
    """An error that does not pickle."""

    def __reduce__(self) -> NoReturn:
        raise TypeError("never")


def square(number: int) -> int:
    """Return the square."""
    return number * number


def square_slowly(number: int) -> int:
    """Return the square after 0.02 seconds."""
    time.sleep(0.02)
    return number * number


def mark_slowly(item: Marked) -> int:
    """Leave a mark, and take 0.2 seconds."""
    item.mark()
    time.sleep(0.2)
    return item.number


def square_or_fail(number: int) -> int:
    """Return the square; fail at 3, 8, 13, ..."""
    if number % 5 == 3:
        raise ValueError(f"{number} is not liked")
    return number * number


def transient_error_first(item: Marked) -> int:
    """Return the square; every third item fails at its first attempt."""
    if item.number % 3 == 0 and item.mark() == 1:
        raise OSError(f"the network slept at {item.number}")
    return item.number**2


def always(error: Exception, item: object) -> NoReturn:
    """Raise an error, after a mark if the item leaves any."""
    if isinstance(item, Marked):
        item.mark()
    raise error


def unpicklable_error(item: object) -> NoReturn:
    """Raise an error that does not pickle."""
    raise Unpicklable(f"{item} and more")


def entry_of(table: bytes, item: int) -> tuple[int, int]:
    """Return an entry of a large table, and the process."""
    return int(table[item]), os.getpid()


def plus(a: int, b: int) -> int:
    """Return the sum."""
    return a + b


def add_pairs(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """Return both sums."""
    return a[0] + b[0], a[1] + b[1]


def count_and_sum(number: int) -> tuple[int, int]:
    """Return what `add_pairs` adds up to a count and a sum."""
    return 1, number
