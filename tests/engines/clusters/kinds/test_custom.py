"""Any class of Dask that starts a cluster: one that is always there, and some that go wrong."""

import sys
import traceback
import types

import dask
import pytest
from chunkmeans import secrets
from chunkmeans.config import Cluster
from chunkmeans.config.models import Wait
from chunkmeans.engines import engine_size, job_script, open_engine
from chunkmeans.errors import ClusterError, ConfigError
from distributed import LocalCluster

from tests.engines import tasks

HERE = {
    "host": "127.0.0.1",
    "protocol": "tcp",
    "n_workers": 0,
    "threads_per_worker": 1,
    "processes": False,
    "memory_limit": "1GiB",
    "dashboard_address": "127.0.0.1:0",
    "silence_logs": 50,
}


def section(kwargs=(), name="LocalCluster", **more):
    """A section for the class of that name in a module that `classes` made, or in Dask's."""
    module = "classes_of_a_test" if name != "LocalCluster" else "distributed"
    options = {"module": module, "class": name, "kwargs": {**HERE, **dict(kwargs)}}
    return Cluster(kind="custom", options=options, **more)


@pytest.fixture
def classes(monkeypatch):
    """A module whose classes a test makes up."""
    module = types.ModuleType("classes_of_a_test")
    monkeypatch.setitem(sys.modules, "classes_of_a_test", module)
    return module


@pytest.fixture(autouse=True)
def awake():
    # a worker that is this process would be paused, for ever, once the tests have grown it
    with dask.config.set({"distributed.worker.memory.pause": False}):
        yield


@pytest.mark.parametrize(
    "scaling",
    [{"scale": 2}, {"scale": {"n": 2}}, {"adapt": {"minimum": 2, "maximum": 2}}],
    ids=["number", "words", "adapt"],
)
def test_its_workers_are_scaled_waited_for_and_compute(scaling):
    asked = section(wait=Wait(workers=2, timeout=240), **scaling)
    with open_engine(asked) as engine:
        assert (engine.workers, engine.threads, engine.memory) == (2, 2, 2**30)
        assert engine.map_reduce(tasks.square, range(5), tasks.plus, name="sum") == 30


def test_work_is_cut_for_the_workers_that_are_yet_to_come():
    asked = section({"threads_per_worker": 2}, adapt={"minimum": 1, "maximum": 8})
    with open_engine(asked) as engine:
        assert (engine.workers, engine.threads) == (8, 16)
    found = engine_size(asked, memory=2**30)
    assert (found.workers, found.memory) == (8, 2**30)
    assert job_script(asked) == ""


def test_dask_s_own_settings_hold_as_long_as_the_run():
    key = "distributed.comm.timeouts.connect"
    before = dask.config.get(key)
    with open_engine(section(dask_config={key: "7s"})):
        assert dask.config.get(key) == "7s"
    assert dask.config.get(key) == before


def test_certificates_are_handed_to_it():
    pytest.importorskip("cryptography", reason="certificates are made by cryptography (extra tls)")
    asked = section({"protocol": "tls"}, security="temporary")
    with open_engine(asked) as engine:
        assert engine._connection.address.startswith("tls://127.0.0.1:")


def test_a_worker_that_never_comes_ends_it_in_time(classes):
    class Deaf(LocalCluster):
        def scale(self, *_, **__):
            pass

    classes.Deaf = Deaf
    with pytest.raises(ClusterError, match=r"has had no worker for 0.3 seconds"):
        open_engine(section(name="Deaf", wait=Wait(timeout=0.3)))


def test_a_class_that_fails_is_told_in_its_words(classes):
    def broken(**_):
        raise RuntimeError("no route to the machines")

    classes.broken = broken
    with pytest.raises(ClusterError, match=r"custom: no cluster could be started: no route to"):
        open_engine(section(name="broken"))


def test_a_class_that_does_not_like_its_arguments_is_told_too(classes):
    def picky(**_):
        raise ValueError("protocol must be carrier://")

    classes.picky = picky
    with pytest.raises(ConfigError, match=r"picky refuses them: protocol must be carrier://"):
        open_engine(section(name="picky"))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Cluster(kind="custom"), r"cluster.options.module: missing; give"),
        (Cluster(kind="custom", options={"modul": "x"}), r"did you mean module"),
        (section({"host": "0.0.0.0"}), r"custom would listen on 0.0.0.0 without TLS"),
        (section(scale={"m": 2}), r"cluster.scale.m: kind custom does not know it"),
    ],
)
def test_what_does_not_fit_is_refused(asked, message):
    with pytest.raises(ConfigError, match=message):
        open_engine(asked)


def test_what_it_cannot_adapt_to_is_refused_and_nothing_is_left(classes):
    class Rigid(LocalCluster):
        def adapt(self, **asked):
            raise ValueError(f"cannot have {asked}")

    classes.Rigid = Rigid
    with pytest.raises(ConfigError, match=r"cluster.adapt: Dask refuses it: cannot have"):
        open_engine(section(name="Rigid", adapt={"maximum": 2}))
    assert all(cluster.status.name == "closed" for cluster in LocalCluster._instances)


def test_a_plan_says_that_nobody_knows_the_memory():
    assert engine_size(section()).assumed
    assert not engine_size(section(), memory=2**30).assumed


@pytest.mark.parametrize("failure", [ValueError, RuntimeError])
def test_a_class_that_repeats_its_options_tells_no_secret(classes, monkeypatch, failure):
    monkeypatch.setattr(secrets, "_known", set())

    def refusing(host, login, dashboard_address):
        raise failure(f"login with token {login['token']!r} refused")

    classes.Refusing = refusing
    kwargs = {"login": {"token": "hunter2hunter2"}}
    options = {"module": "classes_of_a_test", "class": "Refusing"}
    options["kwargs"] = {"host": "127.0.0.1", **kwargs}
    with pytest.raises((ConfigError, ClusterError)) as caught:
        open_engine(Cluster(kind="custom", options=options))
    shown = "".join(traceback.format_exception(caught.value))
    assert f"login with token '{secrets.HIDDEN}' refused" in shown
    assert "hunter2" not in shown
