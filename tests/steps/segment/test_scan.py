"""Passes as phases."""

import numpy as np
import pytest
from chunkmeans.engines.base import Outcome
from chunkmeans.engines.serial import SerialEngine
from chunkmeans.events import Advanced, PhaseFinished, PhaseStarted, both
from chunkmeans.steps.plan.memory import cut
from chunkmeans.steps.segment.scan import Scan

from tests.steps.examples import source


def bundles():
    image = source(np.zeros((4, 6, 2), np.uint16))
    return [(chunk,) for chunk in cut(image, (4, 3), 0, "array")]


def test_a_phase_begins_advances_by_what_succeeded_and_ends():
    seen = []
    first, second = bundles()
    with Scan(SerialEngine(), "array", [first, second], seen.append).phase("read") as finished:
        finished(Outcome(first, None, None, attempts=2, seconds=1.5))
        finished(Outcome(second, None, ValueError("no"), attempts=1, seconds=0.5))

    begun, advanced, ended = seen
    assert begun == PhaseStarted("read", "array", pixels=24, units=2)
    assert advanced == Advanced("read", "array", 12, 48, units=1, seconds=1.5, attempts=2)
    assert isinstance(ended, PhaseFinished)
    assert (ended.phase, ended.subject) == ("read", "array")
    assert ended.seconds >= 0


def test_a_phase_that_failed_does_not_end():
    seen = []
    scan = Scan(SerialEngine(), "array", bundles(), seen.append)
    with pytest.raises(ValueError, match="no"), scan.phase("read"):
        raise ValueError("no")
    assert [type(event) for event in seen] == [PhaseStarted]


def test_both_watchers_are_told_in_their_order():
    seen = []
    both(lambda e: seen.append(("first", e)), lambda e: seen.append(("second", e)))("event")
    assert seen == [("first", "event"), ("second", "event")]
