"""Phases as events: begun, advanced bundle by bundle, finished."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

from chunkmeans.engines.base import Outcome
from chunkmeans.events import Advanced, Event, PhaseFinished, PhaseStarted, Watcher
from chunkmeans.steps.chunk import Bundle


@contextmanager
def phase(
    name: str, subject: str, bundles: Sequence[Bundle], watch: Watcher
) -> Iterator[Callable[[Outcome[Bundle, None]], None]]:
    """Tell `watch` that a phase begins and ends; yields what tells it of a finished bundle."""
    pixels = sum(chunk.pixels for bundle in bundles for chunk in bundle)
    watch(PhaseStarted(name, subject, pixels, len(bundles)))
    begin = perf_counter()

    def told(outcome: Outcome[Bundle, None]) -> None:
        if outcome.error is None:
            watch(
                Advanced(
                    name,
                    subject,
                    pixels=sum(chunk.pixels for chunk in outcome.item),
                    nbytes=sum(chunk.nbytes for chunk in outcome.item),
                    seconds=outcome.seconds,
                    attempts=outcome.attempts,
                )
            )

    yield told
    watch(PhaseFinished(name, subject, perf_counter() - begin))


def both(first: Watcher, second: Watcher) -> Watcher:
    """Return a watcher that tells two."""

    def told(event: Event) -> None:
        first(event)
        second(event)

    return told
