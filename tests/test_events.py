import inspect
import pickle
from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import get_args

import pytest
from chunkmeans import events
from chunkmeans.events import Advanced, Event, ImageFinished, Note

KINDS = [
    kind
    for _, kind in inspect.getmembers(events, inspect.isclass)
    if kind.__module__ == events.__name__
]
BY_TYPE = {str: "x", int: 3, float: 0.5, dict[str, int]: {"done": 1}}


def example(kind):
    """An event of a kind, its fields filled by their types."""
    return kind(**{field.name: BY_TYPE[field.type] for field in fields(kind)})


def test_a_watcher_may_be_told_every_kind_and_no_other():
    assert set(get_args(Event)) == set(KINDS)
    assert all(is_dataclass(kind) for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_is_a_value_that_travels(kind):
    event = example(kind)
    assert pickle.loads(pickle.dumps(event)) == event
    name = fields(kind)[0].name
    with pytest.raises(FrozenInstanceError):
        setattr(event, name, None)


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_is_one_of_its_kind_only(kind):
    event = example(kind)
    assert [k for k in KINDS if isinstance(event, k)] == [kind]


def test_what_is_usual_need_not_be_said():
    assert Note("dashboard at http://localhost:8787").level == "info"
    assert ImageFinished("a", "done", "", 1.0).detail == ""
    part = Advanced("read", "a", pixels=10, nbytes=20)
    assert (part.units, part.seconds, part.attempts) == (1, 0.0, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_need_watch(kind):
    assert events.ignore(example(kind)) is None
