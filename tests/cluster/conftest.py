"""Real systems, started for the tests and stopped by their process ids: Slurm, sshd, Dask, MPI."""

import importlib.metadata
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from tests.cluster.running import ROOT, chunkmeans, results_of

SLURM = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
CryptoType=crypto/munge
SlurmUser=root
SlurmctldPort={control}
SlurmdPort={daemon}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=32000 State=UNKNOWN
PartitionName=debug Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""

SSHD = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile {folder}/sshd.pid
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
UsePAM no
"""


@pytest.fixture(scope="session")
def reference(tmp_path_factory):
    """What the serial engine makes of the quickstart."""
    out = tmp_path_factory.mktemp("reference") / "out"
    chunkmeans("run", ROOT / "configs/quickstart.yaml", "--cluster", "serial", out=out)
    return results_of(out)


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """The environment in which a Slurm of one node answers."""
    wanted("slurmctld", "slurmd", "munged", how="apt-get install slurm-wlm munge")
    if os.geteuid() != 0:
        pytest.skip("Slurm's daemons are started by root only")
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    host = socket.gethostname().partition(".")[0]
    config = folder / "slurm.conf"
    config.write_text(
        SLURM.format(host=host, folder=folder, control=free_port(), daemon=free_port())
    )
    environment = {**os.environ, "SLURM_CONF": str(config)}
    with ExitStack() as stack:
        stack.enter_context(munge())
        for daemon in ("slurmctld", "slurmd"):
            stack.enter_context(
                running([shutil.which(daemon), "-D", "-f", str(config)], folder / f"{daemon}.out")
            )

        def idle():
            asked = subprocess.run(
                ["sinfo", "-h", "-o", "%T"], env=environment, capture_output=True, text=True,
                timeout=20, check=False,
            )  # fmt: skip
            return asked.stdout.strip() == "idle"

        if not soon(idle, 240):
            logs = "\n".join(p.read_text()[-2000:] for p in folder.glob("*.log"))
            pytest.skip(f"Slurm does not become idle on this machine:\n{logs}")
        yield environment


@pytest.fixture(scope="session")
def sshd(tmp_path_factory):
    """Options by which asyncssh reaches this machine: port, key, user."""
    wanted("sshd", "ssh-keygen", how="apt-get install openssh-server")
    folder = tmp_path_factory.mktemp("sshd")
    Path("/run/sshd").mkdir(exist_ok=True)  # where sshd gives up its rights
    for key in ("host_key", "id"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key],
            check=True, timeout=60,
        )  # fmt: skip
    shutil.copy(folder / "id.pub", folder / "authorized_keys")
    port = free_port()
    (folder / "sshd_config").write_text(SSHD.format(port=port, folder=folder))
    command = [shutil.which("sshd"), "-D", "-f", folder / "sshd_config", "-E", folder / "sshd.log"]
    with running(command, folder / "sshd.out"):
        if not soon(lambda: answers(port), 240):
            pytest.skip(f"sshd does not answer: {(folder / 'sshd.log').read_text()[-2000:]}")
        yield {
            "port": port,
            "username": "root",
            "client_keys": [str(folder / "id")],
            "known_hosts": None,
        }


@pytest.fixture(scope="session")
def mpiexec():
    """The launcher of the wheel `mpich`, or of the system, and the environment it needs."""
    pytest.importorskip("mpi4py", reason="needs MPI: pip install 'chunkmeans[hpc]'")
    try:
        files = importlib.metadata.files("mpich") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    found = {file.name: file.locate().resolve() for file in files}
    launcher = found.get("mpiexec") or shutil.which("mpiexec")
    if launcher is None:
        pytest.skip("there is no mpiexec: pip install 'chunkmeans[hpc]'")
    library = next((path for name, path in found.items() if name.startswith("libmpi.so")), None)
    # an environment that borrows the packages of another one does not find its libraries
    more = {} if library is None else {"LD_LIBRARY_PATH": str(library.parent)}
    return [str(launcher), "-n", "4"], {**os.environ, **more}


@contextmanager
def dask_processes(folder, *options, workers=2):
    """Run ``dask scheduler`` and workers on loopback; yields the scheduler's file."""
    file = folder / "scheduler.json"
    program = [sys.executable, "-m"]
    own = ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0", *options]
    with ExitStack() as stack:
        stack.enter_context(
            running(
                [*program, "distributed.cli.dask_scheduler", *own, "--port", "0",
                 "--scheduler-file", file],
                folder / "scheduler.out",
            )
        )  # fmt: skip
        assert soon(file.exists, 240), (folder / "scheduler.out").read_text()
        for number in range(workers):
            stack.enter_context(
                running(
                    [*program, "distributed.cli.dask_worker", *own, "--scheduler-file", file,
                     "--nthreads", "1", "--memory-limit", "1GiB", "--local-directory", folder],
                    folder / f"worker-{number}.out",
                )
            )  # fmt: skip
        yield file


@contextmanager
def running(command, log):
    """Run a program in the background, its words in `log`; ended with all that it started."""
    with Path(log).open("w") as out:
        process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        end(process)


def end(process):
    """End a process that we started, and those below it: asked first, made to after a while."""
    try:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(True)]
    except psutil.NoSuchProcess:
        family = []
    process.terminate()
    _, left = psutil.wait_procs(family, timeout=20)
    for one in left:
        one.kill()
    process.wait(20)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


@contextmanager
def munge():
    """Run the daemon by which Slurm knows who asks, unless it runs already."""
    if any(p.info["name"] == "munged" for p in psutil.process_iter(["name"])):
        yield
        return
    here = Path("/run/munge")
    here.mkdir(exist_ok=True)
    shutil.chown(here, "munge", "munge")
    subprocess.run(
        ["su", "munge", "-s", "/bin/sh", "-c", shutil.which("munged")], check=True, timeout=30
    )
    try:
        yield
    finally:
        os.kill(int((here / "munged.pid").read_text()), signal.SIGTERM)


def wanted(*programs, how):
    """Skip where one of the programs is missing."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        pytest.skip(f"there is no {', '.join(missing)} on this machine; {how}")


def free_port():
    """Return a port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    """Whether somebody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def soon(condition, seconds):
    """Whether `condition` becomes true within so many seconds."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True
