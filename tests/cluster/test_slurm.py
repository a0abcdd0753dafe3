"""Workers that are jobs of a real Slurm: the preset, jobs that end, and jobs that never come."""

import signal
import subprocess

import numpy as np
import pytest

from tests.cluster.conftest import end, soon
from tests.cluster.running import ROOT, chunkmeans, command, results_of
from tests.support.places import PYTHONPATH

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

QUICKSTART = ROOT / "configs/quickstart.yaml"
PRESET = ROOT / "configs/clusters/slurm.yaml"

LOOPBACK = """
kind: slurm
options:
  cores: 1
  processes: 1
  memory: 2GiB
  walltime: "00:10:00"
  interface: lo
  log_directory: logs
scale: 2
dask_config:
  distributed.deploy.lost-worker-timeout: 2s
wait: {workers: 2, timeout: 120}
"""


@pytest.fixture(autouse=True)
def jobqueue():
    pytest.importorskip("dask_jobqueue", reason="needs pip install 'chunkmeans[hpc]'")


def queue(slurm, *options):
    """Ids of the jobs in the queue."""
    asked = subprocess.run(
        ["squeue", "-h", "-o", "%i", *options], env=slurm, capture_output=True, text=True,
        timeout=30, check=True,
    )  # fmt: skip
    return set(asked.stdout.split())


def jobs(slurm):
    """Ids of the jobs that run."""
    return queue(slurm, "-t", "R")


def test_the_preset_gives_the_bytes_of_the_serial_engine(slurm, reference, tmp_path):
    said = chunkmeans(
        "run", QUICKSTART, "--cluster", PRESET, out=tmp_path / "out", cwd=tmp_path, env=slurm
    )
    assert "done      6" in said.stdout
    assert results_of(tmp_path / "out") == reference
    assert soon(lambda: not jobs(slurm), 240), "the run leaves jobs behind"
    assert {path.name for path in tmp_path.iterdir()} == {"out", "logs"}, "certificates are gone"
    logs = "".join(path.read_text() for path in (tmp_path / "logs").iterdir())
    for name in ("coffee", "retina", "camera"):
        assert name in logs, "the log of a worker tells what it works on"


def test_a_job_that_is_cancelled_costs_no_bit_and_is_replaced(slurm, tmp_path):
    chance = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for number in range(8):
        noise = chance.normal(size=(200, 200, 3)).astype(np.float32)
        np.save(tmp_path / "in" / f"{number:02}.npy", noise)
    config = tmp_path / "long.yaml"
    config.write_text(
        "images: {path: in/}\nkmeans: {k: 4, max_iterations: 20}\nresults: {path: out}\n"
    )
    # the run has to last until Slurm has started another job, however quick the machine
    options = "options:\n  worker_extra_args: [--preload, tests.cluster.slow]\n"
    options += f"  job_script_prologue: [export CHUNKMEANS_SLOW=4, export PYTHONPATH={PYTHONPATH}]"
    (tmp_path / "site.yaml").write_text(LOOPBACK.replace("options:", options))
    chunkmeans("run", config, "--cluster", "serial", out="serial", cwd=tmp_path, seconds=400)

    process = subprocess.Popen(
        command("run", config, "--cluster", "site.yaml", out="out"), cwd=tmp_path, env=slurm,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        stores = tmp_path / "out" / "images"
        assert soon(lambda: any(stores.glob("*")), 240)
        first = jobs(slurm)
        assert len(first) == 2
        subprocess.run(["scancel", min(first)], env=slurm, check=True, timeout=30)
        assert soon(lambda: len(jobs(slurm) - first) == 1, 240), "nobody takes its place"
        assert process.poll() is None, "the run was over too soon to tell anything"
        said, _ = process.communicate(timeout=400)
    finally:
        end(process)
    assert process.returncode == 0, said
    assert results_of(tmp_path / "out") == results_of(tmp_path / "serial")


def test_jobs_that_never_come_end_the_run_with_code_3_and_a_hint(slurm, tmp_path):
    (tmp_path / "site.yaml").write_text(LOOPBACK)
    said = chunkmeans(
        "run", QUICKSTART, "--cluster", "site.yaml", "--set", "cluster.wait.timeout=3",
        "--set", 'cluster.options.job_extra_directives=["--hold"]',
        out=tmp_path / "out", code=3, cwd=tmp_path, env=slurm,
    )  # fmt: skip
    assert "no worker for 3 seconds; see in the queue whether the jobs wait" in said.stderr
    assert "logs in logs" in said.stderr
    assert not (tmp_path / "out").exists()
    assert queue(slurm) == set(), "a run that gives up takes its jobs back"


@pytest.mark.usefixtures("foreground")
def test_ctrl_c_takes_the_jobs_back_and_says_how_to_go_on(slurm, tmp_path):
    (tmp_path / "site.yaml").write_text(LOOPBACK)
    process = subprocess.Popen(
        command(
            "run", QUICKSTART, "--cluster", "site.yaml",
            "--set", 'cluster.options.job_extra_directives=["--hold"]', out=tmp_path / "out",
        ),
        cwd=tmp_path, env=slurm, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        assert soon(lambda: queue(slurm), 240)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=400)
    finally:
        end(process)
    assert process.returncode == 130, said
    assert "the same command resumes" in said
    assert soon(lambda: queue(slurm) == set(), 240)


def test_a_job_that_slurm_refuses_is_told_in_its_words(slurm, tmp_path):
    (tmp_path / "site.yaml").write_text(LOOPBACK)
    said = chunkmeans(
        "run", QUICKSTART, "--cluster", "site.yaml", "--set", "cluster.options.queue=nowhere",
        out=tmp_path / "out", code=3, cwd=tmp_path, env=slurm,
    )  # fmt: skip
    assert "slurm: no worker could be asked for" in said.stderr
    assert "invalid partition" in said.stderr
    assert "Traceback" not in said.stderr


def test_a_plan_shows_the_job_script_and_submits_nothing(slurm, tmp_path):
    said = chunkmeans("plan", QUICKSTART, "--cluster", PRESET, cwd=tmp_path, env=slurm)
    assert "#SBATCH -t 01:00:00" in said.stdout
    assert "distributed.cli.dask_worker" in said.stdout
    assert "slurm, 16 workers, 64 threads" in said.stdout
    assert jobs(slurm) == set()
    assert list(tmp_path.iterdir()) == []
