"""Passes over the pixels of one image or collection, as phases that a watcher sees.

A large image is read by many tasks, in other processes; the warnings of its decoder there are
warnings of this image, as those in one task are.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from chunkmeans.engines.base import Engine, Outcome, ValueT
from chunkmeans.events import COLLECTION, Advanced, PhaseFinished, PhaseStarted, Watcher, ignore
from chunkmeans.sources.warnings import add_warnings, collected_warnings, collecting_warnings
from chunkmeans.steps.chunk import Bundle
from chunkmeans.steps.resume.outcome import Ending

Warned = tuple[ValueT, tuple[str, ...]]
"""What a task returned, and its warnings."""
Finished = Callable[[Outcome[Bundle, None]], None]
"""Takes every bundle that is finished."""


@dataclass(frozen=True)
class Scan:
    """What every pass over the pixels of a subject needs."""

    engine: Engine
    subject: str
    """Id of the image, or `COLLECTION`."""
    bundles: Sequence[Bundle]
    watch: Watcher = ignore

    @contextmanager
    def phase(self, name: str) -> Iterator[Finished]:
        """Report that a phase begins and ends; yields what reports a finished bundle."""
        pixels = sum(chunk.pixels for bundle in self.bundles for chunk in bundle)
        with phase(self.watch, name, self.subject, pixels, len(self.bundles)) as advance:

            def finished(outcome: Outcome[Bundle, None]) -> None:
                if outcome.error is None:
                    pixels = sum(chunk.pixels for chunk in outcome.item)
                    nbytes = sum(chunk.nbytes for chunk in outcome.item)
                    advance(pixels, nbytes, 1, outcome.seconds, outcome.attempts)

            yield finished

    def map_reduce(
        self,
        task: Callable[[Bundle], ValueT],
        merge: Callable[[ValueT, ValueT], ValueT],
        name: str,
        watch: Finished | None = None,
    ) -> ValueT:
        """Return what `task` leaves of all bundles, merged, its warnings as if it had run here.

        They come merged with the values, which a worker does: no message of their own, and no
        more bytes than the warnings of one image may have.
        """
        found: Warned[ValueT] = self.engine.map_reduce(
            partial(_with_warnings, task), self.bundles, partial(_merged, merge),
            name=name, near=lambda bundle: bundle[0].key, watch=watch,
        )  # fmt: skip
        add_warnings(found[1])
        return found[0]


Advance = Callable[..., None]
"""Takes what an `Advanced` has beside the phase and its subject."""


@contextmanager
def phase(watch: Watcher, name: str, subject: str, pixels: int, units: int) -> Iterator[Advance]:
    """Report that a phase of so many pixels and tasks begins and ends; yields what advances it."""
    watch(PhaseStarted(name, subject, pixels, units))
    begin = perf_counter()

    yield lambda *done, **more: watch(Advanced(name, subject, *done, **more))
    watch(PhaseFinished(name, subject, perf_counter() - begin))


def reported(endings: Iterable[Ending], images: int, watch: Watcher) -> Iterator[Ending]:
    """Yield the endings of so many images, as a phase that a watcher sees."""
    with phase(watch, "images", COLLECTION, 0, images) as advance:
        for ending in endings:
            row = ending.row
            pixels = (row.pixels or 0) + (row.nodata or 0)
            advance(pixels, ending.nbytes, seconds=row.seconds or 0.0)
            yield ending


def _with_warnings(task: Callable[[Bundle], ValueT], bundle: Bundle) -> Warned[ValueT]:
    with collecting_warnings():
        return task(bundle), collected_warnings()


def _merged(
    merge: Callable[[ValueT, ValueT], ValueT], a: Warned[ValueT], b: Warned[ValueT]
) -> Warned[ValueT]:
    with collecting_warnings():
        add_warnings((*a[1], *b[1]))
        return merge(a[0], b[0]), collected_warnings()
