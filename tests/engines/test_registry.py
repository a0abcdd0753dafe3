import subprocess
import sys

import pytest
from chunkmeans.config import Cluster
from chunkmeans.engines import engine_size
from chunkmeans.engines.machine import cores
from chunkmeans.engines.registry import CLUSTERS, ENGINES, KINDS
from chunkmeans.engines.serial import SerialEngine
from chunkmeans.errors import ConfigError

from tests.engines.refused import assert_refused
from tests.support.engines import open_engine


def test_an_unknown_kind_is_refused_with_the_nearest():
    assert_refused("locale", {}, r"^cluster.kind: there is no kind 'locale'; did you mean local\?$")


def test_a_kind_like_no_other_is_refused_with_all_there_are():
    assert_refused("xyz", {}, f"known are {', '.join((*ENGINES, *CLUSTERS))}")


def test_serial_takes_its_options():
    with open_engine("serial", {"threads": 3}, memory=2**30) as engine:
        assert isinstance(engine, SerialEngine)
        assert (engine.workers, engine.threads, engine.memory) == (1, 3, 2**30)


@pytest.mark.parametrize("kind", ["local", "threads", "serial", "address", "scheduler_file", "ssh"])
def test_every_kind_refuses_an_unknown_option_by_name(kind):
    if kind == "ssh":
        pytest.importorskip("asyncssh", reason="SSH needs asyncssh (extra hpc)")
    with pytest.raises(ConfigError, match=rf"cluster.options.n_wrkers: kind {kind} does not know"):
        open_engine(kind, {"n_wrkers": 2})


@pytest.mark.parametrize(
    ("kind", "extra"),
    [("slurm", "hpc"), ("ssh", "hpc"), ("mpi", "hpc"), ("kubernetes", "kubernetes"),
     ("gateway", "gateway")],
)  # fmt: skip
@pytest.mark.parametrize("ask", [open_engine, engine_size])
def test_a_missing_extra_is_an_error_that_says_what_to_install(monkeypatch, kind, extra, ask):
    dask = KINDS.load(kind).dask
    for name in (dask.module, dask.module.partition(".")[0], dask.needs):
        if name and name != "distributed":
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr("chunkmeans.engines.clusters.dask_class.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=rf"{kind} needs .*; pip install 'chunkmeans\[{extra}\]'"):
        ask(Cluster(kind=kind))


def test_threads_are_those_of_this_machine_unless_told_otherwise():
    for options, threads in [({}, cores()), ({"threads": 3}, 3)]:
        with open_engine("threads", options, memory=2**30) as engine:
            assert isinstance(engine, SerialEngine)
            assert engine.size == engine_size(
                Cluster(kind="threads", options=options), memory=2**30
            )
            assert (engine.workers, engine.threads) == (1, threads)


def test_the_serial_engine_does_without_distributed():
    code = (
        "import sys; sys.modules['distributed'] = None\n"
        "from chunkmeans.config import Cluster\n"
        "from chunkmeans.engines import open_engine\n"
        "engine = open_engine(Cluster(kind='serial'))\n"
        "print([o.value for o in engine.map(abs, [-1], name='abs')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd="."
    )
    assert (done.stdout, done.stderr) == ("[1]\n", "")
