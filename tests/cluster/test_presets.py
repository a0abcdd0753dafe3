"""The presets, against the classes of Dask that they are for; nothing is started."""

import json
import socket

import dask
import pytest
from chunkmeans.config import Cluster, load_config
from chunkmeans.engines import engine_size, job_script, open_engine
from chunkmeans.engines.registry import KINDS
from chunkmeans.errors import ClusterError, ConfigError

from tests.cluster.running import ROOT

pytestmark = pytest.mark.cluster

GIB = 2**30
CANARY = "hunter2"

JOBS = {
    "slurm": ("#SBATCH --mem=8G", "#SBATCH -t 01:00:00", "#SBATCH --cpus-per-task=4"),
    "pbs": ("#PBS -l select=1:ncpus=4:mem=8192MB", "#PBS -l walltime=01:00:00"),
    "sge": ("#$ -l h_rt=01:00:00", "#$ -pe smp 4"),
    "lsf": ("#BSUB -W 01:00", "#BSUB -M 8590", "#BSUB -n 4"),
    "htcondor": ("MY.DaskWorkerMemory = 8589934592", "Queue"),
    "oar": ("#OAR -l /nodes=1/core=4,walltime=01:00:00",),
    "custom": ("#PBS -l walltime=01:00:00",),
}
"""What the scripts of batch systems say, by preset; custom's is Moab."""


@pytest.fixture(autouse=True)
def nothing_listens(monkeypatch):
    """Make it an error to open a port."""

    def refuse(*_):
        raise AssertionError("a plan opens no port")

    monkeypatch.setattr(socket.socket, "listen", refuse)


def preset(name, *overrides):
    """Return the section of a preset, with its class installed."""
    file = ROOT / f"configs/clusters/{name}.yaml"
    section = load_config(ROOT / "configs/quickstart.yaml", overrides, cluster=str(file)).cluster
    dask = getattr(KINDS.load(name), "dask", None)
    for module in ("dask_jobqueue",) if dask is None else filter(None, (dask.module, dask.needs)):
        pytest.importorskip(module, reason="its package is not installed (see extras)")
    return section


@pytest.mark.parametrize("name", JOBS)
def test_a_batch_system_s_script_says_what_the_preset_asks_for(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    script = job_script(preset(name))
    for line in JOBS[name]:
        assert line in script
    for option in (
        "--nthreads 4",
        "--memory-limit 8.00GiB",
        "--lifetime 55m",
        "--protocol tls://",
        "--tls-key TEMPORARY-KEY",
        "--dashboard-address 127.0.0.1:0",
    ):
        assert option in script
    assert "export DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE=False" in script
    assert list(tmp_path.iterdir()) == [], "a plan leaves nothing behind"


@pytest.mark.parametrize("name", JOBS)
def test_its_size_is_that_of_all_jobs(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    workers = 4 if name == "custom" else 16
    found = engine_size(preset(name))
    assert (found.workers, found.threads, found.memory) == (workers, 4 * workers, 8 * GIB)
    assert engine_size(preset(name), memory=GIB).memory == GIB


@pytest.mark.parametrize(
    ("scaling", "workers"),
    [
        ({"scale": 3}, 4), ({"scale": {"jobs": 3}}, 6), ({"scale": {"cores": 9}}, 6),
        ({"scale": {"memory": "9GiB"}}, 4), ({"adapt": {"minimum_jobs": 1, "maximum_jobs": 5}}, 10),
        ({"adapt": {"maximum": 7}}, 7), ({}, 2),
    ],
)  # fmt: skip
def test_workers_are_counted_however_they_are_asked_for(scaling, workers):
    options = {"cores": 4, "processes": 2, "memory": "8GiB", "interface": "lo"}
    pytest.importorskip("dask_jobqueue", reason="needs pip install 'chunkmeans[hpc]'")
    found = engine_size(Cluster(kind="slurm", options=options, **scaling))
    assert (found.workers, found.threads, found.memory) == (workers, 2 * workers, 4 * GIB)


@pytest.mark.parametrize("name", ["ssh", "mpi", "kubernetes", "gateway"])
def test_the_class_takes_every_option_of_the_others(name):
    assert engine_size(preset(name), memory=2 * GIB).memory == 2 * GIB


@pytest.mark.parametrize("name", ["slurm", "ssh", "mpi", "kubernetes"])
def test_and_no_option_that_it_does_not_know(name):
    with pytest.raises(ConfigError, match=rf"cluster.options.wrokers: kind {name} does not know"):
        engine_size(preset(name, "cluster.options.wrokers=1"), memory=2 * GIB)


def test_pods_get_image_resources_and_settings():
    import yaml

    spec = yaml.safe_load(job_script(preset("kubernetes")))["spec"]
    (container,) = spec["worker"]["spec"]["containers"]
    assert spec["worker"]["replicas"] == 8
    assert container["resources"]["limits"] == {"cpu": "4", "memory": "8Gi"}
    assert {"name": "NUMBA_NUM_THREADS", "value": "1"} in container["env"]
    found = engine_size(preset("kubernetes"))
    assert (found.workers, found.threads, found.memory) == (8, 32, 8 * GIB)


def test_batch_systems_ask_for_tls_or_an_explicit_word():
    options = {"cores": 1, "memory": "2GiB"}
    pytest.importorskip("dask_jobqueue", reason="needs pip install 'chunkmeans[hpc]'")
    with pytest.raises(ConfigError, match=r"slurm would listen on every network without TLS"):
        job_script(Cluster(kind="slurm", options=options))
    bold = job_script(Cluster(kind="slurm", options=options, insecure=True))
    assert "--tls" not in bold
    assert "--dashboard-address" not in bold
    lone = job_script(Cluster(kind="slurm", options={**options, "interface": "lo"}))
    assert "--interface lo" in lone
    with pytest.raises(ConfigError, match=r"kubernetes would listen on the network of the pods"):
        job_script(preset("kubernetes", "cluster.insecure=false"))


def test_no_script_has_a_credential_in_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    keep = {"images.storage_options.secret": CANARY, "results.storage_options.secret": CANARY}
    overrides = [f"{key}={value}" for key, value in keep.items()]
    secret = {"gateway.auth.kwargs": {"password": CANARY}, "distributed.worker.preload": []}
    overrides.append(f"cluster.dask_config={json.dumps(secret)}")
    with dask.config.set({"distributed.comm.tls.client.key": CANARY, "site.token": CANARY}):
        for name in (*JOBS, "kubernetes"):
            assert CANARY not in job_script(preset(name, *overrides))


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("name", ["slurm", "kubernetes"])
def test_a_key_in_the_environment_of_workers_is_refused_for_it_would_be(name, nested):
    key, variable = "distributed.nanny.pre-spawn-environ", "AWS_SECRET_ACCESS_KEY"
    given = {key: {variable: CANARY}} if nested else {f"{key}.{variable}": CANARY}
    with pytest.raises(ConfigError, match=f"{variable} looks like a secret") as caught:
        job_script(preset(name, f"cluster.dask_config={json.dumps(given)}"))
    assert CANARY not in str(caught.value)
    given = {f"{key}.AWS_PROFILE": "mine"}
    assert "mine" in job_script(preset(name, f"cluster.dask_config={json.dumps(given)}"))


def test_kubernetes_that_does_not_answer_is_an_error_in_time(tmp_path, monkeypatch):
    section = preset("kubernetes")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "gone"))
    with pytest.raises(ClusterError, match=r"no cluster answers: .*; see what kubectl"):
        open_engine(section)
