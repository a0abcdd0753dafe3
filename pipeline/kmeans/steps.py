"""The steps that loops over blocks are made of, each compiled once."""

from typing import Any, NamedTuple

from pipeline.kmeans.blocks import bound, bound_turned, prune, turn
from pipeline.kmeans.groups import add_all, add_block
from pipeline.kmeans.nearest import distances, nearest


class Steps(NamedTuple):
    """All steps, as loops take them."""

    bound: Any
    bound_turned: Any
    turn: Any
    prune: Any
    nearest: Any
    distances: Any
    add_all: Any
    add_block: Any


STEPS = Steps(bound, bound_turned, turn, prune, nearest, distances, add_all, add_block)
