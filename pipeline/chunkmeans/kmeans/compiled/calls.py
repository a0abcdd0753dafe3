"""The steps that loops over blocks are made of, each compiled once."""

from functools import cache
from typing import Any, NamedTuple

from chunkmeans.kmeans.compiled.blocks import (
    Floats,
    Indices,
    Room,
    bound,
    bound_turned,
    prune,
    turn,
)
from chunkmeans.kmeans.compiled.groups import add_all, add_block
from chunkmeans.kmeans.compiled.jit import compiled
from chunkmeans.kmeans.compiled.nearest import distances, nearest
from chunkmeans.kmeans.compiled.typed_bytes import Bytes

Addresses = tuple[int, ...]


class Steps(NamedTuple):
    """All steps, as loops call them."""

    bound: Any
    bound_turned: Any
    turn: Any
    prune: Any
    nearest: Any
    distances: Any
    add_all: Any
    add_block: Any


STEPS = Steps(bound, bound_turned, turn, prune, nearest, distances, add_all, add_block)

bound_at, bound_turned_at, turn_at, prune_at = bound.at, bound_turned.at, turn.at, prune.at
nearest_at, distances_at = nearest.at, distances.at
add_all_at, add_block_at = add_all.at, add_block.at


@cache
def addresses() -> Addresses:
    """Return where the steps are, which loops take as an argument; compile or load them."""
    return tuple(step.made.address for step in STEPS)


@compiled
def steps_at(addresses: Addresses) -> Steps:
    """Return the steps, within a loop."""
    return Steps(
        bound_at(addresses[0]), bound_turned_at(addresses[1]), turn_at(addresses[2]),
        prune_at(addresses[3]), nearest_at(addresses[4]), distances_at(addresses[5]),
        add_all_at(addresses[6]), add_block_at(addresses[7]),
    )  # fmt: skip


@compiled
def prune_block(
    steps: Steps, raw: Bytes, kind: int, start: int, size: int, means: Floats, weights: Floats,
    reach: Floats, every: Indices, room: Room,
) -> tuple[int, bool]:  # fmt: skip
    """Write to ``room.few`` which of `every` mean may be nearest to a sample of a block.

    Returns how many they are, and whether the block had to be turned to find out.
    """
    turned = steps.bound(raw, kind, start, size, room.lanes, room.lo, room.hi) == 0
    if turned:
        steps.turn(raw, kind, start, size, room.turned, room.words)
        steps.bound_turned(room.turned, size, room.work, room.lo, room.hi)
    left = steps.prune(room.lo, room.hi, means, weights, reach, every, len(every), room.few)
    return left, turned
