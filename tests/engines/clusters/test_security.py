"""Loopback, certificates, or an explicit word: nothing listens on a network by accident."""

import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from chunkmeans.config import Cluster
from chunkmeans.config.models import Certificates
from chunkmeans.engines.clusters.security import ALL, is_loopback
from chunkmeans.errors import ConfigError

from tests.engines import tasks
from tests.engines.certificates import write_certificates
from tests.support.engines import open_engine

THREADS = {"processes": False, "threads_per_worker": 1}


@pytest.mark.parametrize(
    "place", ["127.0.0.1", "127.1.2.3", "localhost", "::1", "[::1]", "tcp://127.0.0.1"]
)
def test_addresses_of_this_machine_alone_are_loopback(place):
    assert is_loopback(place)


@pytest.mark.parametrize("place", ["0.0.0.0", "10.0.0.1", "head", "::", "", ALL, None])
def test_all_others_are_not(place):
    assert not is_loopback(place)


def test_interfaces_are_loopback_by_their_addresses():
    for name, addresses in psutil.net_if_addrs().items():
        inet = [a.address for a in addresses if a.family == socket.AF_INET]
        if inet:
            assert is_loopback(name) == all(a.startswith("127.") for a in inet)


@pytest.mark.parametrize("options", [{"host": "0.0.0.0"}, {"host": "10.1.2.3"}])
def test_listening_on_a_network_asks_for_certificates_or_an_explicit_word(options):
    with pytest.raises(ConfigError, match=r"would listen on .* without TLS"):
        open_engine("local", options)


@pytest.mark.parametrize("address", [":8787", "0.0.0.0:0", "10.1.2.3:8787", 8787])
def test_so_does_a_dashboard_on_a_network_which_has_no_tls(address):
    with pytest.raises(ConfigError, match=r"the dashboard would listen on .*, for all users"):
        open_engine(Cluster(security="temporary", options={"dashboard_address": address}))


def test_whoever_says_insecure_gets_it():
    section = Cluster(options={**THREADS, "host": "0.0.0.0"}, insecure=True)
    with open_engine(section, memory=2**30) as engine:
        assert next(iter(engine.map(tasks.square, [3], name="square"))).unwrap() == 9


@pytest.fixture(params=["temporary", "files"])
def secured(request, tmp_path):
    """A section with TLS: certificates of the moment, or files."""
    pytest.importorskip("cryptography", reason="certificates are made by cryptography (extra tls)")
    security = "temporary"
    if request.param == "files":
        ca, cert, key = write_certificates(tmp_path)
        security = Certificates(ca=str(ca), cert=str(cert), key=str(key))
    return Cluster(options={"n_workers": 1, "threads_per_worker": 1}, security=security)


STRANGER = """
import sys
from distributed import Client, Security
for place in sys.argv[2:]:
    certificates, address = place.split("@")
    security = Security.temporary() if certificates == "other" else None
    try:
        Client(address, timeout=float(sys.argv[1]), security=security)
    except (OSError, TypeError) as error:
        print("refused", place)
"""


def stranger(*places, seconds=3):
    """Say which of ``certificates@address`` refuse a client, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, str(seconds), *places],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    return done.stdout.splitlines()


def test_a_plain_client_is_refused_by_a_tls_run(secured):
    with open_engine(secured, memory=2 * 2**30) as engine:
        address = engine._connection.address
        assert address.startswith("tls://127.0.0.1:")
        plain = address.replace("tls://", "tcp://")
        places = [f"none@{address}", f"none@{plain}", f"other@{address}"]
        assert stranger(*places) == [f"refused {place}" for place in places]
        assert engine.map_reduce(tasks.square, range(5), tasks.plus, name="sum") == 30


def test_one_in_the_clear_is_not():
    with open_engine(Cluster(options=THREADS)) as engine:
        assert stranger(f"none@{engine._connection.address}", seconds=240) == []


def test_certificates_that_are_not_there_are_refused_by_name(tmp_path):
    here = Path(__file__)
    security = Certificates(ca=str(here), cert=str(tmp_path / "gone.pem"), key=str(here))
    with pytest.raises(ConfigError, match=r"cluster.security.cert: there is no file .*gone.pem"):
        open_engine(Cluster(options=THREADS, security=security))


@pytest.mark.parametrize("kind", ["serial", "threads"])
def test_one_process_has_no_use_for_certificates(kind):
    with pytest.raises(ConfigError, match=f"cluster.security: kind {kind} has no use for it"):
        open_engine(Cluster(kind=kind, security="temporary"))


def test_temporary_certificates_do_not_reach_a_scheduler_that_runs_already():
    section = Cluster(
        kind="address", options={"address": "tls://127.0.0.1:9"}, security="temporary"
    )
    with pytest.raises(ConfigError, match="do not reach the workers of kind address; give files"):
        open_engine(section)
