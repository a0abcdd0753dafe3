"""The steps that loops over blocks are made of, each compiled once, and how loops call them."""

from collections.abc import Callable
from functools import cache, wraps
from typing import Any, NamedTuple

from chunkmeans.kmeans.compiled.blocks import Workspace, bound, bound_transposed, prune, transpose
from chunkmeans.kmeans.compiled.groups import add_all, add_block
from chunkmeans.kmeans.compiled.jit import compiled
from chunkmeans.kmeans.compiled.nearest import measure, nearest
from chunkmeans.kmeans.compiled.typed_bytes import as_bytes, read_only
from chunkmeans.kmeans.samples import Bytes, Floats, Indices, Ints, Limbs, Values

Addresses = tuple[int, ...]


class Steps(NamedTuple):
    """All steps, as loops call them."""

    bound: Any
    bound_transposed: Any
    transpose: Any
    prune: Any
    nearest: Any
    measure: Any
    add_all: Any
    add_block: Any


STEPS = Steps(bound, bound_transposed, transpose, prune, nearest, measure, add_all, add_block)

bound_at, bound_transposed_at, transpose_at = bound.at, bound_transposed.at, transpose.at
prune_at, nearest_at, measure_at = prune.at, nearest.at, measure.at
add_all_at, add_block_at = add_all.at, add_block.at


@cache
def addresses() -> Addresses:
    """Return where the steps are, which loops take as an argument; compile or load them."""
    return tuple(step.made.address for step in STEPS)


@compiled
def steps_at(addresses: Addresses) -> Steps:
    """Return the steps, within a loop."""
    return Steps(
        bound_at(addresses[0]), bound_transposed_at(addresses[1]), transpose_at(addresses[2]),
        prune_at(addresses[3]), nearest_at(addresses[4]), measure_at(addresses[5]),
        add_all_at(addresses[6]), add_block_at(addresses[7]),
    )  # fmt: skip


def over_samples(read: int) -> Callable[[Any], Any]:
    """Make a function a loop over samples that is compiled once for all their types.

    The function takes ``places``, and ``raw`` and ``kind`` of samples as of `as_bytes`, then `read`
    arrays that it only reads, and others. It is called with the samples (n, c) instead of the first
    three; ``loop`` is what is compiled.
    """

    def made(function: Any) -> Any:
        loop = compiled(function)

        @wraps(function)
        def call(values: Values, *given: Any) -> Any:
            only_read = map(read_only, given[:read])
            return loop(addresses(), *as_bytes(values), *only_read, *given[read:])

        call.loop = loop  # type: ignore[attr-defined]
        return call

    return made


# Below, arrays are one argument each, of which there are many: numba types every argument by
# itself, and a value that held them would be taken apart again at each call of a step.


@compiled
def prune_block(
    steps: Steps, raw: Bytes, kind: int, start: int, size: int, means: Floats, weights: Floats,
    reach: Floats, every: Indices, space: Workspace,
) -> tuple[int, bool]:  # fmt: skip
    """Write to ``space.candidates`` which of `every` mean may be nearest to a sample of a block.

    Returns how many they are, and whether the block had to be transposed to find out.
    """
    transposed = steps.bound(raw, kind, start, size, space.lanes, space.lo, space.hi) == 0
    if transposed:
        steps.transpose(raw, kind, start, size, space.transposed, space.words)
        steps.bound_transposed(space.transposed, size, space.scratch, space.lo, space.hi)
    left = steps.prune(
        space.lo, space.hi, means, weights, reach, every, len(every), space.candidates
    )
    return left, transposed


@compiled
def label_block(
    steps: Steps, size: int, means: Floats, weights: Floats, scaled: int, candidates: Indices,
    left: int, space: Workspace,
) -> None:  # fmt: skip
    """Write to ``space.label`` which of the first `left` candidates is nearest to each sample.

    Of a block that is transposed and whose box is known.
    """
    steps.nearest(
        space.transposed, size, means, weights, scaled, candidates, left, space.lo, space.hi,
        space.gathered, space.scratch, space.singles, space.scores, space.label,
    )  # fmt: skip


@compiled
def sum_block(
    steps: Steps, kind: int, size: int, counts: Ints, candidates: Indices, left: int, number: Ints,
    sums: Limbs, exponent: int, space: Workspace,
) -> None:  # fmt: skip
    """Add a transposed block to the `number` and `sums` of the candidates that it is labelled by.

    To those of the first one if only one is `left`, whatever the labels.
    """
    steps.add_block(
        space.transposed, space.words, kind, counts, size, left, candidates, space.label,
        space.gathered, space.scratch, number, sums, exponent,
    )  # fmt: skip
