"""The example of docs/extending/cluster.md: it conforms, and its entry point is all it takes."""

import pytest
from chunkmeans import make_config, open_run, run
from chunkmeans.config import Cluster
from chunkmeans.engines import engine_size
from chunkmeans.errors import ConfigError
from chunkmeans.testing import ClusterKindTests

from tests.docs.examples import PAGES, install
from tests.support.engines import open_engine

HERE = {"dashboard_address": "127.0.0.1:0"}


@pytest.fixture(autouse=True)
def toy_package(tmp_path_factory, monkeypatch):
    install("cluster.md", tmp_path_factory.mktemp("site"), monkeypatch)


class TestToy(ClusterKindTests):
    options = {"threads": 2, "dashboard_address": "127.0.0.1:0"}
    starts = True

    @pytest.fixture(autouse=True)
    def _registered(self, toy_package, monkeypatch):
        from toy_cluster import Toy

        monkeypatch.setattr(TestToy, "kind", Toy, raising=False)
        self.register(monkeypatch)


def test_a_config_names_it_as_any_other(tmp_path):
    config = make_config(
        images={"path": "package://skimage/data/coins.png"},
        kmeans={"k": 2},
        results={"path": str(tmp_path / "out")},
        cluster={"kind": "toy", "scale": 1, "options": {"threads": 2, **HERE}},
    )
    run(config)
    assert [row.state for row in open_run(tmp_path / "out").catalog] == ["done"]


def test_workers_and_memory_are_those_of_the_section():
    with open_engine("toy", {"threads": 3, **HERE}) as engine:
        assert (engine.workers, engine.threads) == (1, 3)
    found = engine_size(Cluster(kind="toy", options={"threads": 3}), memory=2**30)
    assert (found.threads, found.memory) == (3, 2**30)


def test_it_listens_on_no_network():
    with pytest.raises(ConfigError, match=r"toy would listen on 0.0.0.0 without TLS"):
        open_engine("toy", {"host": "0.0.0.0"})


def test_the_page_shows_what_is_tested():
    assert '--8<-- "docs/extending/examples/toy_cluster.py"' in (PAGES / "cluster.md").read_text()
