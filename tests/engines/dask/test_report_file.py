"""A performance report that could not be written is refused before the work, not after it."""

import chunkmeans
import pytest
from chunkmeans.config import make_config
from chunkmeans.engines.dask.report_file import refuse_place
from chunkmeans.errors import ConfigError


def test_a_file_in_a_folder_that_is_there_is_taken_and_a_url(tmp_path):
    refuse_place(str(tmp_path / "report.html"))
    refuse_place("s3://bucket/report.html")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"performance report .*: is a folder; give a file"):
        refuse_place(str(tmp_path))


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no folder .*gone; make it"):
        refuse_place(str(tmp_path / "gone/report.html"))


def test_a_run_is_refused_before_machines_are_opened(tmp_path, monkeypatch):
    def opened(*_, **__):
        raise AssertionError("machines were opened")

    monkeypatch.setattr("chunkmeans.api.open_engine", opened)
    (tmp_path / "a.npy").touch()
    config = make_config(
        images={"path": str(tmp_path / "a.npy")},
        kmeans={"k": 2},
        results={"path": str(tmp_path / "out")},
    )
    with pytest.raises(ConfigError, match=r"performance report .*: is a folder"):
        chunkmeans.run(config, performance_report=str(tmp_path))
