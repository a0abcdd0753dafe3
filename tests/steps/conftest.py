import pytest

from pipeline.engines import open_engine


@pytest.fixture(scope="package")
def two_processes():
    """An engine of Dask with two worker processes."""
    options = {"n_workers": 2, "threads_per_worker": 1}
    with open_engine("local", options, memory=4 * 2**30) as engine:
        yield engine
