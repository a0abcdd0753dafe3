"""``dask scheduler`` and ``dask worker`` that somebody else started."""

import json

import pytest

from tests.cluster.conftest import dask_processes
from tests.cluster.running import ROOT, chunkmeans, results_of
from tests.engines.certificates import write_certificates

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

QUICKSTART = ROOT / "configs/quickstart.yaml"


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    with dask_processes(tmp_path_factory.mktemp("dask")) as file:
        yield file


@pytest.mark.parametrize("by", ["file", "address"])
def test_it_gives_the_bytes_of_the_serial_engine(scheduler, reference, tmp_path, by):
    cluster = scheduler if by == "file" else json.loads(scheduler.read_text())["address"]
    said = chunkmeans("run", QUICKSTART, "--cluster", cluster, out=tmp_path / "out")
    assert "done      6" in said.stdout
    assert results_of(tmp_path / "out") == reference


def test_with_certificates_too_and_nobody_comes_in_without(reference, tmp_path):
    pytest.importorskip("cryptography", reason="certificates are made by cryptography (extra tls)")
    ca, cert, key = write_certificates(tmp_path)
    tls = ["--tls-ca-file", ca, "--tls-cert", cert, "--tls-key", key, "--protocol", "tls"]
    (tmp_path / "dask").mkdir()
    with dask_processes(tmp_path / "dask", *tls) as file:
        section = {
            "kind": "scheduler_file",
            "options": {"scheduler_file": str(file)},
            "security": {"ca": str(ca), "cert": str(cert), "key": str(key)},
        }
        (tmp_path / "site.yaml").write_text(json.dumps(section))
        chunkmeans("run", QUICKSTART, "--cluster", tmp_path / "site.yaml", out=tmp_path / "out")
        assert results_of(tmp_path / "out") == reference
        said = chunkmeans("run", QUICKSTART, "--cluster", file, out=tmp_path / "plain", code=3)
        assert "no Dask scheduler answers at tls://127.0.0.1" in said.stderr
