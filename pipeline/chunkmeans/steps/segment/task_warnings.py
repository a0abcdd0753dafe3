"""What tasks of one image are warned of, heard by who asked for them.

A large image is read by many tasks, in other processes; what its decoder warns of there is of this
image, as what it warns of in one task is. It comes with what the tasks leave, merged with it on
the workers: no message of its own, and no more bytes than one image may tell.
"""

from collections.abc import Callable, Hashable, Sequence
from functools import partial

from chunkmeans.engines.base import Engine, ItemT, Outcome, ValueT
from chunkmeans.sources.warnings import add_warnings, collected_warnings, collecting_warnings

Told = tuple[ValueT, tuple[str, ...]]
"""What a task returned, and what it was warned of."""


def map_reduce_heard(
    engine: Engine,
    task: Callable[[ItemT], ValueT],
    items: Sequence[ItemT],
    merge: Callable[[ValueT, ValueT], ValueT],
    *,
    name: str,
    near: Callable[[ItemT], Hashable],
    watch: Callable[[Outcome[ItemT, None]], None],
) -> ValueT:
    """Return all values merged, as `Engine.map_reduce`; warnings of the tasks are heard here."""
    told: Told[ValueT] = engine.map_reduce(
        partial(_heard, task), items, partial(_merged, merge), name=name, near=near, watch=watch
    )
    add_warnings(told[1])
    return told[0]


def _heard(task: Callable[[ItemT], ValueT], item: ItemT) -> Told[ValueT]:
    with collecting_warnings():
        return task(item), collected_warnings()


def _merged(
    merge: Callable[[ValueT, ValueT], ValueT], a: Told[ValueT], b: Told[ValueT]
) -> Told[ValueT]:
    with collecting_warnings():
        add_warnings((*a[1], *b[1]))
        return merge(a[0], b[0]), collected_warnings()
