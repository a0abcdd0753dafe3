"""Whatever options a kind takes: none of them opens a scheduler, worker or dashboard to all."""

import pytest
from chunkmeans.config import Cluster
from chunkmeans.engines import engine_size, job_script, open_engine
from chunkmeans.engines.clusters.dask_class import DaskClass
from chunkmeans.engines.clusters.kind import ClusterKind
from chunkmeans.engines.clusters.security import is_loopback, refuse_listening
from chunkmeans.engines.kind import Request
from chunkmeans.errors import ConfigError
from distributed.deploy import LocalCluster


class Unstated(ClusterKind):
    dask = DaskClass("distributed", "LocalCluster")


class Stated(Unstated):
    def arguments(self, options, security):
        return super().arguments({"host": "127.0.0.1", **options}, security)


def request(**options):
    return Request(Cluster(options=options), 2**31)


def test_a_kind_whose_class_listens_where_it_likes_is_refused():
    with pytest.raises(ConfigError, match="would listen on every network without TLS"):
        Unstated(request()).size()


def test_what_a_kind_fills_in_is_what_is_checked_and_what_its_class_gets():
    given = Stated(request()).given(planned=True)
    assert given["host"] == "127.0.0.1"
    assert given["worker_dashboard_address"] == "127.0.0.1:0"
    assert given["dashboard_address"].startswith("127.0.0.1:")
    with pytest.raises(ConfigError, match=r"would listen on 0\.0\.0\.0 without TLS"):
        Stated(request(host="0.0.0.0")).size()


NETWORK = r"would listen on (tcp://)?(0\.0\.0\.0|every network)"


@pytest.mark.parametrize(
    "options",
    [
        {"scheduler_kwargs": {"host": "0.0.0.0"}},
        {"scheduler_kwargs": {"host": None}},
        {"scheduler_kwargs": {"dashboard_address": ":8787"}},
        {"worker_dashboard_address": "0.0.0.0:0"},
        {"dashboard_address": "127.0.0.1:0,0.0.0.0:8787"},
        {"dashboard_address": ["127.0.0.1:0", 8787]},
        {"ip": "0.0.0.0"},
        {"host": None},
        {"contact_address": "tcp://0.0.0.0:8000"},
    ],
    ids=str,
)
def test_no_option_of_a_local_cluster_opens_it(options):
    with pytest.raises(ConfigError, match=NETWORK):
        engine_size(Cluster(options=options), memory=2**32)


@pytest.mark.parametrize(
    "words",
    [
        ["--host", "0.0.0.0"],
        ["--host=0.0.0.0"],
        ["--lifetime 55m --host 0.0.0.0"],
        ["--listen-address", "tcp://0.0.0.0:9000"],
    ],
    ids=str,
)
def test_nor_do_words_of_a_worker_s_command_line(words):
    pytest.importorskip("dask_jobqueue", reason="batch systems need dask-jobqueue (extra hpc)")
    options = {"cores": 1, "memory": "1GB", "interface": "lo", "worker_extra_args": words}
    with pytest.raises(ConfigError, match=rf"worker_extra_args \(--.*{NETWORK}"):
        job_script(Cluster(kind="slurm", options=options))
    assert "0.0.0.0" in job_script(Cluster(kind="slurm", options=options, insecure=True))


@pytest.mark.parametrize("words", [["--dashboard-address", ":0"], ["--dashboard-address=:0"]])
def test_a_worker_s_dashboard_is_not_opened_by_tls_either(words):
    pytest.importorskip("dask_jobqueue", reason="batch systems need dask-jobqueue (extra hpc)")
    options = {"cores": 1, "memory": "1GB", "worker_extra_args": words}
    with pytest.raises(ConfigError, match="the dashboard would listen on every network"):
        job_script(Cluster(kind="slurm", options=options, security="temporary"))


def test_mpi_s_workers_show_their_dashboards_to_nobody_else():
    pytest.importorskip("dask_mpi", reason="MPI needs dask-mpi (extra hpc)")
    worker = {"dashboard_address": "0.0.0.0:0"}
    section = Cluster(kind="mpi", options={"interface": "lo", "worker_options": worker})
    with pytest.raises(ConfigError, match=r"worker_options.dashboard_address: .*0\.0\.0\.0"):
        engine_size(section)


def custom(**kwargs):
    options = {
        "module": "distributed",
        "class": "LocalCluster",
        "kwargs": {"host": "127.0.0.1", "n_workers": 0, "processes": False, **kwargs},
    }
    return Cluster(kind="custom", options=options)


def test_a_class_of_dask_s_own_gets_a_dashboard_on_loopback(monkeypatch):
    given = {}

    def noted(self, **options):
        given.update(options)
        raise ValueError("seen")

    noted.__wrapped__ = LocalCluster.__init__  # its arguments
    monkeypatch.setattr(LocalCluster, "__init__", noted)
    with pytest.raises(ConfigError, match="seen"):
        open_engine(custom())
    assert is_loopback(given["dashboard_address"])


@pytest.mark.parametrize("name", ["dashboard_address", "worker_dashboard_address"])
def test_and_none_on_a_network(name):
    with pytest.raises(ConfigError, match="the dashboard would listen on"):
        engine_size(custom(**{name: "0.0.0.0:8787"}), memory=2**30)


@pytest.mark.parametrize(
    "options",
    [
        {"host": "127.0.0.1", "interface": None, "dashboard_address": None},
        {"connect_options": {"host": "far"}, "job_extra_directives": ["--host=node1"]},
        {"worker_extra_args": ["--host", "127.0.0.1", "--dashboard-address=127.0.0.1:0", 3]},
        {"worker_extra_args": ["--host='127.0.0.1'", "--contact-address", "tcp://127.0.0.1:9"]},
        {"worker_extra_args": []},
        {"hosts": ["far", "farther"], "resources": {"hosts": 1}},
    ],
    ids=str,
)
def test_what_stays_on_this_machine_or_means_something_else_is_taken(options):
    refuse_listening(Cluster(), options)


@pytest.mark.parametrize("place", ["127.evil.example", "127.0.0.1.example", "10.0.0.1:127"])
def test_a_name_is_not_loopback_for_how_it_begins(place):
    assert not is_loopback(place)
