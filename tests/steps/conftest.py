import pytest
from chunkmeans.engines.dask.settings import SETTINGS

from tests.support.engines import open_engine


@pytest.fixture(scope="module")
def processes():
    """An engine of Dask with worker processes, shared by the tests of a module.

    Two, so that one that is killed leaves another. One death is enough to be
    suspected, as each takes a second.
    """
    options = {"n_workers": 2, "threads_per_worker": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SETTINGS, "distributed.scheduler.allowed-failures", 0)
        with open_engine("local", options, memory=3 * 2**30) as engine:
            yield engine
