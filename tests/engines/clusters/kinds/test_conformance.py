"""Every kind of cluster keeps what the seam promises."""

import pytest
from chunkmeans.engines.clusters.kinds import (
    address,
    custom,
    gateway,
    jobqueue,
    kubernetes,
    local,
    mpi,
    ssh,
)
from chunkmeans.engines.registry import CLUSTERS
from chunkmeans.testing import ClusterKindTests


class TestLocal(ClusterKindTests):
    kind = local.Local
    options = {
        "n_workers": 1,
        "processes": False,
        "threads_per_worker": 1,
        "dashboard_address": "127.0.0.1:0",
    }
    starts = True


class TestAddress(ClusterKindTests):
    kind = address.Address
    options = {"address": "tcp://127.0.0.1:9"}
    offline = False


class TestSchedulerFile(TestAddress):
    kind = address.SchedulerFile
    options = {"scheduler_file": "scheduler.json"}


class TestSsh(ClusterKindTests):
    exposed = True
    kind = ssh.Ssh
    options = {"hosts": ["127.0.0.1", "127.0.0.1"]}


class TestMpi(ClusterKindTests):
    exposed = True
    kind = mpi.Mpi


class TestKubernetes(ClusterKindTests):
    exposed = True
    kind = kubernetes.Kubernetes
    script = True


class TestGateway(ClusterKindTests):
    kind = gateway.Gateway
    options = {"address": "http://127.0.0.1:9"}

    def test_an_unknown_option_is_refused_by_its_key(self):
        pytest.skip("options of a site's clusters have any name")


class TestCustom(ClusterKindTests):
    kind = custom.Custom
    options = {
        "module": "distributed",
        "class": "LocalCluster",
        "kwargs": {
            "host": "127.0.0.1", "n_workers": 0, "processes": False, "silence_logs": 50,
            "dashboard_address": "127.0.0.1:0", "protocol": "tcp",
        },
    }  # fmt: skip
    starts = True


class _Jobs(ClusterKindTests):
    exposed = True
    options = {"cores": 1, "memory": "1GiB", "log_directory": "logs"}
    script = True


class TestSlurm(_Jobs):
    kind = jobqueue.Slurm


class TestPbs(_Jobs):
    kind = jobqueue.Pbs


class TestSge(_Jobs):
    kind = jobqueue.Sge


class TestLsf(_Jobs):
    kind = jobqueue.Lsf


class TestHtCondor(_Jobs):
    kind = jobqueue.HtCondor
    options = {**_Jobs.options, "disk": "1GiB"}


class TestOar(_Jobs):
    kind = jobqueue.Oar
    options = {**_Jobs.options, "memory_per_core_property_name": "not_applicable"}


def test_none_is_left_out():
    tested, rest = set(), [ClusterKindTests]
    while rest:
        rest += (cls := rest.pop()).__subclasses__()
        tested.add(getattr(cls, "kind", None))
    for name in CLUSTERS.values():
        module, _, cls = name.partition(":")
        assert getattr(__import__(module, fromlist=[cls]), cls) in tested, name
