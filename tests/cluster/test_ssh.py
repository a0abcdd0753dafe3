"""Workers that are started by SSH on a real sshd of this machine."""

import json
import sys

import pytest

from tests.cluster.running import ROOT, chunkmeans, results_of
from tests.engines.certificates import write_certificates

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_it_gives_the_bytes_of_the_serial_engine(sshd, reference, tmp_path, tls):
    pytest.importorskip("asyncssh", reason="needs pip install 'chunkmeans[hpc]'")
    loopback = {"host": "127.0.0.1"}
    section = {
        "kind": "ssh",
        "options": {
            "hosts": ["127.0.0.1"] * 3,
            "connect_options": sshd,
            "remote_python": sys.executable,
            "scheduler_options": {**loopback, "port": 0},
            "worker_options": {**loopback, "nthreads": 1, "memory_limit": "1GiB"},
        },
        "wait": {"workers": 2, "timeout": 120},
    }
    if tls:
        ca, cert, key = write_certificates(tmp_path)
        section["security"] = {"ca": str(ca), "cert": str(cert), "key": str(key)}
    (tmp_path / "site.yaml").write_text(json.dumps(section))
    said = chunkmeans(
        "run", ROOT / "configs/quickstart.yaml", "--cluster", "site.yaml",
        out=tmp_path / "out", cwd=tmp_path,
    )  # fmt: skip
    assert "done      6" in said.stdout
    assert results_of(tmp_path / "out") == reference
    assert "127.0.0.1" not in (tmp_path / "out/run.json").read_text(), "options stay here"


def test_a_host_that_does_not_answer_ends_the_run_with_code_3(tmp_path):
    pytest.importorskip("asyncssh", reason="needs pip install 'chunkmeans[hpc]'")
    section = {
        "kind": "ssh",
        "options": {"hosts": ["127.0.0.1"] * 2, "connect_options": {"port": 9}},
        "insecure": True,
    }
    (tmp_path / "site.yaml").write_text(json.dumps(section))
    said = chunkmeans(
        "run", ROOT / "configs/quickstart.yaml", "--cluster", "site.yaml",
        out=tmp_path / "out", cwd=tmp_path, code=3,
    )  # fmt: skip
    assert "ssh: no cluster could be started" in said.stderr
