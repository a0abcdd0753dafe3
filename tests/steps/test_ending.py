"""How an input ends: one row, whatever happened."""

import pytest

from pipeline import SourceError
from pipeline.steps.ending import advanced, failed
from tests.steps.examples import jobs


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SourceError("a.tif: is cut\nshort"), "a.tif: is cut short"),
        (ValueError("odd"), "ValueError: odd"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_a_failure_gives_its_reason_on_one_line_and_its_traceback_apart(tmp_path, error, reason):
    (job,) = jobs(tmp_path, 1)
    ending = failed(job, error)

    assert (ending.row.id, ending.row.state, ending.row.reason) == ("image0", "failed", reason)
    assert ending.row.store == ""
    assert type(error).__name__ in ending.detail
    assert (ending.event.state, ending.event.reason) == ("failed", reason)
    assert advanced(ending).pixels == 0
