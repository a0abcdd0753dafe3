"""Products of parameters of which the default run takes as many as show each pair of values."""

from collections.abc import Sequence
from itertools import combinations, product
from typing import Any

import pytest


def pairwise(**values: Sequence[Any]) -> pytest.MarkDecorator:
    """Parametrize a test by the product of `values`, by name.

    Two values of different parameters meet in at least one case that is always run; the cases
    that this does not need are marked ``full``.
    """
    rows = list(product(*(range(len(choices)) for choices in values.values())))
    needed = _covering(rows)
    cases = [
        pytest.param(
            *(choices[i] for choices, i in zip(values.values(), row, strict=True)),
            marks=() if row in needed else pytest.mark.full,
        )
        for row in rows
    ]
    return pytest.mark.parametrize(list(values), cases)


def _covering(rows: Sequence[tuple[int, ...]]) -> set[tuple[int, ...]]:
    """Return rows that have every pair that any row has, by taking the richest again and again."""
    pairs = {row: set(combinations(enumerate(row), 2)) for row in rows}
    missing = set().union(*pairs.values())
    chosen = set()
    while missing:
        best = max(rows, key=lambda row: len(pairs[row] & missing))
        chosen.add(best)
        missing -= pairs[best]
    return chosen
