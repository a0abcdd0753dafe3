"""Bundles of small items: a task should take seconds, not milliseconds."""

from collections.abc import Callable, Iterable, Iterator

from chunkmeans.engines.base import ItemT


def bundles_by_weight(
    items: Iterable[ItemT], weight: Callable[[ItemT], int], target: int
) -> Iterator[tuple[ItemT, ...]]:
    """Yield consecutive items in groups that weigh about `target`, at least one item each.

    A bundle ends before the item that would carry it over `target`, so that only a single item
    can be heavier. Items keep their order, and are taken as bundles are asked for.

    Parameters
    ----------
    items
        What to bundle.
    weight
        Weight of an item, for instance its pixels; not negative.
    target
        Weight of a bundle, in the same unit, at least 1.

    >>> [b for b in bundles_by_weight([3, 3, 5, 9, 1], weight=int, target=6)]
    [(3, 3), (5,), (9,), (1,)]
    """
    if target < 1:
        raise ValueError(f"a bundle needs a target of at least 1, not {target}")
    bundle: list[ItemT] = []
    total = 0
    for item in items:
        heavy = weight(item)
        if bundle and total + heavy > target:
            yield tuple(bundle)
            bundle, total = [], 0
        bundle.append(item)
        total += heavy
    if bundle:
        yield tuple(bundle)
