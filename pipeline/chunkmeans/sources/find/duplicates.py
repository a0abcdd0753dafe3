"""Which inputs have the same content, found by reading as few bytes as that takes.

Inputs of different sizes differ. Of those of one size a few blocks are compared first, and only
those whose blocks are equal are read whole.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from math import inf
from typing import Any

from chunkmeans.sources.files.byte_ranges import open_file
from chunkmeans.sources.files.content_hash import input_files, input_hash
from chunkmeans.sources.files.paths import is_url

GLANCE = 2**12
"""Bytes at the beginning, in the middle and at the end that are compared before all of them."""
_THREADS = 8


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Which of a list of inputs have the same content; all by position in the list."""

    first: Mapping[int, int]
    """Of each input that repeats an earlier one, the first of its content."""
    unknown: tuple[int, ...]
    """Inputs that may repeat one, but were not read: not readable, or beyond the budget."""


def find_duplicates(
    paths: Sequence[str],
    storage_options: Mapping[str, Any] | None = None,
    *,
    budget: int | None = None,
) -> Duplicates:
    """Find inputs of the same content: of the same bytes, or folders of the same files.

    Does I/O: looks up the size of each, and reads those that may be duplicates. Takes a few
    numbers per input and a MiB per thread.

    Parameters
    ----------
    paths
        Of the inputs, as in `Entry.path`; those that are not there, or are empty, repeat nothing.
    storage_options
        For URLs, handed to fsspec.
    budget
        The most bytes to read, small inputs first; None: as many as it takes. Nothing is read
        where no two inputs have the same size.
    """
    options = storage_options or {}
    with ThreadPoolExecutor(_THREADS) as pool:
        urls = any(is_url(path) for path in paths)
        sizes = _each(partial(_size, options=options), paths, pool if urls else None)
        groups = _equal([range(len(paths))], sizes)
        unknown: list[int] = []
        left = inf if budget is None else budget
        for read, most in ((_glance, 3 * GLANCE), (input_hash, inf)):
            equal: list[Sequence[int]] = []
            for group in sorted(groups, key=lambda group: sizes[group[0]]):
                size = sizes[group[0]]
                if size <= most < inf:
                    equal.append(group)  # reading all of it costs no more than a glance
                    continue
                cost = len(group) * min(size, most)
                if cost > left:
                    unknown += group
                    continue
                left -= cost
                chosen = [paths[i] for i in group]
                marks = _each(partial(read, options=options), chosen, pool)
                found = dict(zip(group, marks, strict=True))
                unknown += [i for i in group if found[i] is None]
                equal += _equal([group], found)
            groups = equal
    first = {i: group[0] for group in groups for i in group[1:]}
    return Duplicates(dict(sorted(first.items())), tuple(sorted(unknown)))


def _equal(groups: Sequence[Sequence[int]], marks: Any) -> list[Sequence[int]]:
    """Return the members of each group whose marks are equal and known, two at least."""
    found: list[Sequence[int]] = []
    for group in groups:
        known = sorted((i for i in group if marks[i] is not None), key=marks.__getitem__)
        alike = (list(members) for _, members in groupby(known, key=marks.__getitem__))
        found += sorted(members for members in alike if len(members) > 1)
    return found


def _each(look: Callable[[str], Any], paths: Sequence[str], pool: Executor | None) -> list[Any]:
    """Return what `look` finds of each path; None of those that cannot be read."""

    def safely(path: str) -> Any:
        try:
            return look(path)
        except Exception:  # it will be refused with its reason when it is segmented
            return None

    return list((pool.map if pool else map)(safely, paths))


def _size(path: str, options: Mapping[str, Any]) -> int | None:
    """Return the bytes of an input, over all its files; None: it holds nothing to compare."""
    return sum(size for _, size, _, _ in input_files(path, options)) or None


def _glance(path: str, options: Mapping[str, Any]) -> bytes:
    """Return a hash of an input's names and sizes, and of three blocks if it is one file."""
    found = input_files(path, options)
    digest = hashlib.blake2b(repr([(name, size) for name, size, _, _ in found]).encode())
    if len(found) == 1:
        _, size, place, _ = found[0]
        with open_file(place, options) as file:
            for start in (0, (size - GLANCE) // 2, size - GLANCE):
                file.seek(max(0, start))
                digest.update(file.read(GLANCE))
    return digest.digest()
