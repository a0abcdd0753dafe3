"""No key of a store stands in what Dask is sent, and writes to logs where it cannot be read."""

import os
import pickle
from functools import partial

import pytest
from chunkmeans.engines.dask.serialize import LARGE, deserialize, serialize
from distributed import Client
from distributed.protocol import dumps

from tests.support.engines import open_engine

CANARY = "canary/Zq7+x0"


def opened(options, noise, item):
    return len(options["secret"]) + len(noise)


def added(options, a, b):
    return a + b


@pytest.fixture
def sent(monkeypatch):
    """All bytes that go from a client to its scheduler."""
    found = []
    send = Client._send_to_scheduler

    def told(self, message):
        found.extend(map(bytes, dumps(message)))
        send(self, message)

    monkeypatch.setattr(Client, "_send_to_scheduler", told)
    return found


@pytest.mark.parametrize("size", [0, 40_000, LARGE + 1], ids=["small", "noise", "large"])
def test_a_key_in_a_task_an_item_or_a_merge_is_no_text_on_its_way(sent, size):
    options = {"secret": CANARY}
    task = partial(opened, options, os.urandom(size))
    items = [(number, options) for number in range(4)]
    with open_engine("local", {"processes": False, "threads_per_worker": 1}) as engine:
        values = [o.unwrap() for o in engine.map(task, items, name="open")]
        total = engine.map_reduce(task, items, partial(added, options), name="open", near=str)
    assert values == [len(CANARY) + size] * 4
    assert total == sum(values)
    everything = b"".join(sent)
    assert b"run_task" in everything
    for canary in (CANARY.encode(), repr(CANARY.encode()).encode(), b"canary"):
        assert canary not in everything


@pytest.mark.parametrize("thing", [None, "text" * 10, os.urandom(LARGE), os.urandom(LARGE + 99)])
def test_what_is_packed_comes_out_the_same(thing):
    assert deserialize(serialize(thing)) == thing


def test_a_function_that_cannot_be_imported_is_packed_by_value():
    def local(number):
        return number + 1

    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(local)
    assert deserialize(serialize(local))(1) == 2
