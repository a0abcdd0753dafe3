"""The cases: what is segmented, with which settings, and what is asked of the outcome."""

from dataclasses import dataclass
from typing import Literal

Quantity = Literal["speedup", "slowdown", "iteration_speedup", "iteration_over_read"]


@dataclass(frozen=True, slots=True)
class Target:
    """A line of the table of issue 3, as a number that this benchmark measures."""

    quantity: Quantity
    """``speedup``: wall time of `against` over ours, at least; ``slowdown``: ours over that of
    `against`, at most; ``iteration_speedup``: the same as speedup, of one iteration;
    ``iteration_over_read``: one iteration of ours over the time in which `against` decodes the
    file, at most."""
    against: str
    """A contender."""
    least: float
    """What must be reached."""
    aim: float
    """What would be good."""
    contender: str = "ours"
    """Whose time it is about."""

    @property
    def higher_is_better(self) -> bool:
        """Whether the measured number must be at least, and not at most, `least`."""
        return self.quantity in ("speedup", "iteration_speedup")


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured."""

    name: str
    summary: str
    kind: Literal["rgb8", "grey16", "multi16", "float32", "multi16x16"]
    """Which input, see `inputs`."""
    megapixels: float
    """Size unless another is asked for; millions of pixels or voxels."""
    k: int
    iterations: int
    """The most iterations of any contender; T is 0 for all."""
    peers: tuple[str, ...]
    targets: tuple[Target, ...]
    memory: str | None = None
    """``memory`` of our config; None: not set."""
    init: Literal["given", "random"] = "given"
    """given: means in the config, the same for every contender; random: ours alone draw."""


MATCHES = ("sklearn", "dask-ml", "sklearnex", "floor")

CASES = {
    case.name: case
    for case in (
        Case(
            "rgb8", "RGB, 8 bits, whole job", "rgb8", 268, 8, 20, MATCHES,
            (
                Target("speedup", "sklearn", 10, 15),
                Target("speedup", "dask-ml", 22, 35),
                Target("slowdown", "floor", 2.0, 1.4),
            ),
        ),
        Case(
            "rgb8-to-rest", "RGB, 8 bits, until nothing moves (T = 0)", "rgb8", 268, 8, 5000,
            ("read",),
            (Target("iteration_over_read", "read", 1 / 50, 1 / 200),),
        ),
        Case(
            "restarts", "RGB, 8 bits, ten random starts against one", "rgb8", 268, 8, 20,
            ("ours-restarts",),
            (Target("slowdown", "ours", 2.0, 1.2, contender="ours-restarts"),),
            init="random",
        ),
        Case(
            "grey16", "grey volume, 16 bits, whole job", "grey16", 268, 4, 20,
            ("sklearn", "floor"),
            (Target("speedup", "sklearn", 18, 18), Target("slowdown", "floor", 1.5, 1.15)),
        ),
        Case(
            "multi16", "4 channels, 16 bits, whole job, pixels held", "multi16", 120, 8, 20,
            ("sklearn", "sklearnex", "floor"),
            (Target("speedup", "sklearn", 3, 6), Target("speedup", "sklearnex", 3, 6)),
        ),
        Case(
            "multi16-not-held", "4 channels, 16 bits, memory below the image", "multi16", 268, 8, 5,
            ("read",),
            (Target("iteration_over_read", "read", 1.3, 1.05),),
            memory="1.75GiB",
        ),
        Case(
            "float32", "6 channels, floats, pixels held", "float32", 60, 8, 20,
            ("sklearn",),
            (
                Target("speedup", "sklearn", 1.5, 4),
                Target("iteration_speedup", "sklearn", 1.5, 4),
            ),
        ),
        Case(
            "many", "16 channels, 16 bits, k = 160", "multi16x16", 8, 160, 5,
            ("sklearn",),
            (Target("iteration_speedup", "sklearn", 1, 3),),
        ),
    )
}  # fmt: skip
"""By name, in the order of the page."""
