"""A wrong value of the section `cluster` is refused by its key before anything is started."""

import pytest
from chunkmeans.config import Cluster
from chunkmeans.config.models import Certificates, Wait
from chunkmeans.engines import engine_size, job_script, open_engine
from chunkmeans.engines.machine import free_memory
from chunkmeans.errors import ClusterError, ConfigError

from tests.engines.certificates import write_certificates

GIB = 2**30
NEEDS = {
    "slurm": "dask_jobqueue", "htcondor": "dask_jobqueue", "mpi": "dask_mpi", "ssh": "asyncssh",
    "gateway": "dask_gateway", "kubernetes": "dask_kubernetes",
}  # fmt: skip
OPTIONS = {
    "slurm": {"cores": 4, "processes": 2, "memory": "8GiB", "interface": "lo"},
    "ssh": {"hosts": ["127.0.0.1", "127.0.0.1"]},
    "gateway": {"address": "http://127.0.0.1:9"},
}


def section(kind, options=(), **more):
    if kind in NEEDS:
        pytest.importorskip(NEEDS[kind], reason="its package is not installed (see extras)")
    options = {**OPTIONS.get(kind, {}), **dict(options)}
    return Cluster(kind=kind, options=options, insecure=True, **more)


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("mpi", {"memory_limit": "banana"}, r"options.memory_limit: 'banana' is no size; give"),
        ("mpi", {"worker_options": {"memory_limit": "-1"}}, r"memory_limit: '-1' is no size"),
        ("mpi", {"nthreads": "2"}, r"options.nthreads: '2' is no count; give at least 1"),
        ("mpi", {"worker_options": 5}, r"options.worker_options: must be a mapping"),
        ("slurm", {"worker_extra_args": "--lifetime 5m"}, r"worker_extra_args: .* give a list"),
        ("slurm", {"job_script_prologue": "module load x"}, r"job_script_prologue: .* give a list"),
        ("slurm", {"job_extra_directives": "-p x"}, r"job_extra_directives: .* give a list"),
        ("slurm", {"processes": 0}, r"options.processes: 0 is no count; give at least 1"),
        ("slurm", {"cores": 0}, r"options.cores: 0 is no count; give at least 1"),
        ("slurm", {"config_name": "foo"}, r"config_name: .* have no jobqueue.foo; leave it out"),
        ("slurm", {"log_directory": 5}, r"log_directory: 5 is no folder; give its path"),
        ("ssh", {"worker_options": {"n_workers": "two"}}, r"n_workers: 'two' is no count"),
        ("ssh", {"worker_options": {"nthreads": "two"}}, r"nthreads: 'two' is no count"),
        ("ssh", {"worker_options": {"memory_limit": "x"}}, r"worker_options.memory_limit: 'x' is"),
        ("kubernetes", {"resources": {"limits": "x"}}, r"resources.limits: must be a mapping"),
        ("custom", {"module": "os", "class": "path"}, r"options.class: path of os is no class"),
    ],
)
def test_a_wrong_option_is_refused_by_a_plan(kind, options, words):
    with pytest.raises(ConfigError, match=words):
        engine_size(section(kind, options), memory=2 * GIB)


@pytest.mark.parametrize("kind", ["slurm", "gateway", "kubernetes"])
@pytest.mark.parametrize(
    ("scaling", "words"),
    [
        ({"adapt": {"maximum": "lots"}}, r"adapt.maximum: 'lots' is no count; give at least 1"),
        ({"adapt": {"minimum": -1}}, r"adapt.minimum: -1 is no count; give at least 0"),
        ({"adapt": {"bogus": 5}}, r"adapt.bogus: kind \w+ does not know it"),
        ({"adapt": {"minimum": 5, "maximum": 2}}, r"adapt.minimum: 5 is above maximum, 2"),
    ],
)
def test_workers_that_cannot_be_are_refused(kind, scaling, words):
    with pytest.raises(ConfigError, match=words):
        engine_size(section(kind, **scaling), memory=2 * GIB)


@pytest.mark.parametrize(
    ("scaling", "words"),
    [
        ({"scale": {"jobs": -3}}, r"scale.jobs: -3 is no count; give at least 1"),
        ({"scale": {"job": 3}}, r"scale.job: kind slurm does not know it; did you mean jobs"),
        ({"scale": {"memory": "lots"}}, r"scale.memory: 'lots' is no size; give bytes"),
        ({"adapt": {"maximum_memory": "lots"}}, r"adapt.maximum_memory: 'lots' is no size"),
        ({"adapt": {"maximum_cores": "lots"}}, r"adapt.maximum_cores: 'lots' is no count"),
        (
            {"adapt": {"minimum_memory": "9GiB", "maximum_memory": "8GiB"}},
            r"adapt.minimum_memory: 9GiB is above maximum_memory, 8GiB",
        ),
    ],
)
def test_jobs_that_cannot_be_are_refused(scaling, words):
    with pytest.raises(ConfigError, match=words):
        engine_size(section("slurm", **scaling))


@pytest.mark.parametrize(
    "scaling",
    [
        {"adapt": {"minimum": 0, "maximum": float("inf"), "interval": "2s"}},
        {"adapt": {"minimum_jobs": 1, "maximum_jobs": 4, "wait_count": 9}},
        {"adapt": {"minimum": None, "maximum_memory": "64GiB", "maximum_cores": 4}},
        {"scale": {"jobs": 4}},
        {"scale": {"n": None, "memory": "64GiB"}},
    ],
)
def test_what_dask_takes_is_taken(scaling):
    engine_size(section("slurm", **scaling))


@pytest.mark.parametrize("kind", ["local", "slurm", "ssh", "mpi", "gateway", "kubernetes"])
@pytest.mark.parametrize("settings", [{"distributed": 5}, {"distributed": {"comm": 5}}])
def test_a_value_in_place_of_a_section_of_dask_s_settings_is_refused(kind, settings):
    ask = open_engine if kind == "local" else engine_size
    with pytest.raises(ConfigError, match=r"dask_config.distributed\S*: is a section of Dask's"):
        ask(section(kind, dask_config=settings), memory=2 * GIB)


def test_what_starts_no_cluster_is_refused_when_it_is_called():
    with pytest.raises(ConfigError, match=r"starts is no cluster of Dask, but str; give a class"):
        open_engine(section("custom", {"module": "os", "class": "getcwd"}))


@pytest.mark.parametrize("inside", [False, True])
def test_a_plan_of_mpi_takes_the_limit_of_its_workers(inside):
    options = {"memory_limit": "1GiB", "nthreads": 3}
    found = engine_size(section("mpi", {"worker_options": options} if inside else options))
    assert (found.memory, found.threads) == (GIB, 3)
    assert engine_size(section("mpi", options), memory=GIB // 2).memory == GIB // 2


@pytest.mark.parametrize("kind", ["gateway", "ssh"])
def test_where_nobody_says_what_a_worker_has_the_plan_says_so(kind):
    found = engine_size(section(kind))
    assert found.assumed
    assert found.memory == pytest.approx(free_memory(), rel=0.5)
    told = engine_size(section(kind), memory=GIB)
    assert (told.memory, told.assumed) == (GIB, False)


@pytest.mark.parametrize("fails", [False, True])
def test_a_plan_leaves_no_folder_of_logs(tmp_path, monkeypatch, fails):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept").mkdir()
    options = {"log_directory": "kept/a/b/c", **({"memory": "banana"} if fails else {})}
    asked = section("slurm", options)
    if fails:
        with pytest.raises(ConfigError, match=r"SLURMCluster refuses them"):
            job_script(asked)
    else:
        assert "kept/a/b/c" in job_script(asked)
    assert [path.name for path in tmp_path.rglob("*")] == ["kept"]


def test_certificates_and_an_address_in_the_clear_clash(tmp_path):
    pytest.importorskip("cryptography", reason="certificates are made by cryptography (extra tls)")
    ca, cert, key = write_certificates(tmp_path)
    files = Certificates(ca=str(ca), cert=str(cert), key=str(key))
    asked = section("address", {"address": "tcp://127.0.0.1:9"}, security=files)
    with pytest.raises(ConfigError, match=r"cluster.security: tcp://127.0.0.1:9 is not encrypted"):
        open_engine(asked)


def test_a_scheduler_file_is_waited_for_aloud(tmp_path):
    file = tmp_path / "scheduler.json"
    told = []
    asked = section("scheduler_file", {"scheduler_file": str(file)}, wait=Wait(timeout=0.2))
    with pytest.raises(ClusterError, match=r"no scheduler has written it"):
        engine_size(asked, notify=told.append)
    assert told == [f"waiting for a scheduler to write {file}, at most 0.2 seconds"]


def test_a_scheduler_file_in_a_folder_that_is_not_there_is_not_waited_for(tmp_path):
    options = {"scheduler_file": str(tmp_path / "gone/scheduler.json")}
    with pytest.raises(ConfigError, match=r"there is no folder .*gone in which a scheduler could"):
        open_engine(section("scheduler_file", options))
