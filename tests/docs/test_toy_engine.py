"""The example of docs/extending/engine.md: it conforms, and its entry point is all it takes."""

import pytest
from chunkmeans.config import Cluster
from chunkmeans.engines import engine_size
from chunkmeans.errors import ConfigError
from chunkmeans.testing import EngineTests

from tests.docs.examples import PAGES, install
from tests.support.engines import open_engine


@pytest.fixture(autouse=True)
def toy_package(tmp_path_factory, monkeypatch):
    install("engine.md", tmp_path_factory.mktemp("site"), monkeypatch)


class TestToyEngine(EngineTests):
    @pytest.fixture
    def engine(self):
        from toy_engine import ToyEngine

        return ToyEngine(threads=2, memory=2**30)


def test_a_config_names_it_as_any_other():
    asked = Cluster(kind="toy", options={"threads": 3})
    with open_engine(asked) as engine:
        assert type(engine).__name__ == "ToyEngine"
        assert engine.size == engine_size(asked, memory=engine.memory)
    with pytest.raises(ConfigError, match=r"cluster.options.thread: kind toy does not know it"):
        open_engine("toy", {"thread": 3})
    with pytest.raises(ConfigError, match=r"there is no kind 'tyo'; did you mean toy\?"):
        open_engine("tyo")


def test_one_that_cannot_be_imported_is_an_error_that_names_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "toy_engine", None)
    with pytest.raises(ConfigError, match=r"the kind 'toy_engine:Toy' for 'toy' cannot be impo"):
        open_engine("toy")


def test_the_page_shows_what_is_tested():
    assert '--8<-- "docs/extending/examples/toy_engine.py"' in (PAGES / "engine.md").read_text()
