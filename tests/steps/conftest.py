import pytest
from chunkmeans.engines import open_engine
from chunkmeans.engines.dask.settings import SETTINGS


@pytest.fixture
def processes(monkeypatch):
    """A fresh engine of Dask with worker processes.

    Three, for a test that kills some: workers that are killed again and again do not always
    come back. One death is enough to be suspected, as each takes a second.
    """
    monkeypatch.setitem(SETTINGS, "distributed.scheduler.allowed-failures", 0)
    options = {"n_workers": 3, "threads_per_worker": 1}
    with open_engine("local", options, memory=4 * 2**30) as engine:
        yield engine
