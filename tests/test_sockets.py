"""What a default run listens on, seen from outside."""

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

QUICKSTART = Path(__file__).parents[1] / "configs/quickstart.yaml"


def test_a_default_run_listens_on_loopback_only(tmp_path):
    command = [sys.executable, "-c", "from chunkmeans.cli import main; main()", "run", QUICKSTART]
    process = subprocess.Popen(
        [
            *map(str, command), "--set", f"results.path={tmp_path / 'out'}",
            "--set", "cluster.options.n_workers=1",
        ],
        cwd=QUICKSTART.parents[1], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    found = set()
    with process:
        until = time.monotonic() + 240
        while process.poll() is None and time.monotonic() < until:
            with suppress(psutil.Error):
                found |= listening(psutil.Process(process.pid))
            time.sleep(0.2)
        process.kill()
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert len(found) >= 3, "scheduler, dashboard and workers"
    assert {address for address, _ in found} == {"127.0.0.1"}


def listening(process):
    """Addresses and ports on which a process and those below it listen."""
    found = set()
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.Error):
            found |= {
                (connection.laddr.ip, connection.laddr.port)
                for connection in one.net_connections(kind="inet")
                if connection.status == psutil.CONN_LISTEN
            }
    return found
