"""A start that would wait for ever ends after the time to wait, and what comes late is undone."""

import socket
import threading

import pytest
from chunkmeans.config import Cluster
from chunkmeans.config.models import Wait
from chunkmeans.engines import open_engine
from chunkmeans.engines.clusters.opening import call_within
from chunkmeans.errors import ClusterError


@pytest.fixture
def silent():
    """The port of a service that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as service:
        yield service.getsockname()[1]


def test_what_returns_in_time_is_returned():
    assert call_within(240, lambda: 7, "too late") == 7


def test_errors_of_its_own_are_raised_a_time_out_of_its_own_too():
    def fails():
        raise TimeoutError("my own")

    with pytest.raises(TimeoutError, match="my own"):
        call_within(240, fails, "too late")


def test_what_comes_too_late_is_undone():
    go_on, undone = threading.Event(), threading.Event()

    def slow():
        go_on.wait()
        return 7

    with pytest.raises(ClusterError, match=r"^too late$"):
        call_within(0.1, slow, "too late", lambda value: value == 7 and undone.set())
    assert not undone.is_set()
    go_on.set()
    assert undone.wait(240)


@pytest.fixture
def refused_in_time(monkeypatch, request):
    """A call of `open_engine` is refused in these words, where it would otherwise hang."""
    monkeypatch.setattr("chunkmeans.engines.clusters.kind.LEAST_TIMEOUT", 1.0)
    monkeypatch.setattr("chunkmeans.engines.clusters.kinds.kubernetes.LEAST_TIMEOUT", 1.0)

    def check(kind, options, words):
        section = Cluster(kind=kind, options=options, wait=Wait(timeout=1), insecure=True)
        with pytest.raises(ClusterError, match=words):
            open_engine(section)

    return check


def test_a_gateway_that_says_nothing_is_an_error_in_time(silent, refused_in_time):
    pytest.importorskip("dask_gateway", reason="needs pip install 'chunkmeans[gateway]'")
    options = {"address": f"http://127.0.0.1:{silent}", "auth": "basic"}
    refused_in_time("gateway", options, r"^gateway: no cluster was started within 1 seconds")


def test_an_api_server_that_says_nothing_is_an_error_in_time(
    silent, refused_in_time, tmp_path, monkeypatch
):
    pytest.importorskip("dask_kubernetes", reason="needs pip install 'chunkmeans[kubernetes]'")
    file = tmp_path / "config"
    file.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: x\n"
        f"clusters: [{{name: x, cluster: {{server: 'http://127.0.0.1:{silent}'}}}}]\n"
        "contexts: [{name: x, context: {cluster: x, user: x}}]\n"
        "users: [{name: x, user: {token: abc}}]\n"
    )
    monkeypatch.setenv("KUBECONFIG", str(file))
    refused_in_time("kubernetes", {}, r"^kubernetes: no cluster answers within 1 seconds")


def test_an_sshd_that_says_nothing_is_an_error_in_time(silent, refused_in_time):
    pytest.importorskip("asyncssh", reason="SSH needs asyncssh (extra hpc)")
    options = {"hosts": ["127.0.0.1"] * 2, "connect_options": {"port": silent}}
    refused_in_time("ssh", options, r"^ssh: no cluster (was|could be) started")
