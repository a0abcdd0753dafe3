"""How an input ends: one row, whatever happened."""

import errno
import os
from dataclasses import replace
from time import perf_counter

import pytest
from chunkmeans import ChunkError, ClusterError, ConfigError, ResultError, SourceError
from chunkmeans.engines.base import OutOfMemory, OutOfTime
from chunkmeans.errors import LimitError
from chunkmeans.events import Advanced
from chunkmeans.steps.resume.outcome import failed, failed_with, is_its_own, limit_in
from chunkmeans.steps.segment.scan import reported

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
    seen = []
    assert list(reported([ending], 1, seen.append)) == [ending]
    assert [event.pixels for event in seen if isinstance(event, Advanced)] == [0]


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        SourceError("a.tif: is cut short"),
        ValueError("odd"),
        ChunkError("it kills its worker"),
        caused(SourceError("a.jpg"), OSError("image file is truncated")),
        caused(SourceError("a.tif"), IndexError("no page")),
    ],
)
def test_what_the_same_file_would_do_again_is_its_own(error):
    assert is_its_own(error)


@pytest.mark.parametrize(
    "error",
    [
        ResultError("out: no space left"),
        ClusterError("no worker"),
        ConfigError("memory: 1 GiB is too little"),
        OutOfMemory("a.tif: took 900 MiB"),
        MemoryError(),
        caused(SourceError("a.tif"), PermissionError(errno.EACCES, "denied")),
        caused(SourceError("a.tif"), OSError(errno.EIO, "input/output error")),
        caused(SourceError("a.tif"), TimeoutError("the store did not answer")),
    ],
)
def test_what_may_have_been_the_machines_is_not(error, tmp_path):
    (job,) = jobs(tmp_path, 1)
    assert not is_its_own(error)
    assert failed(job, error).row.fingerprint == ""


@pytest.mark.parametrize(
    ("error", "limit"),
    [
        (LimitError("a.tif: 600 pixels", "pixels"), "pixels"),
        (caused(SourceError("a.tif: 600 pixels"), LimitError("600 pixels", "pixels")), "pixels"),
        (OutOfTime("a.tif: took more than 600 s"), "seconds"),
    ],
)
def test_a_limit_that_refused_is_part_of_what_the_failure_is_of(tmp_path, error, limit):
    (job,) = jobs(tmp_path, 1)
    os.utime(job.path, (1e9, 1e9))
    mark = failed(job, error, perf_counter()).row.fingerprint
    allowed = getattr(job.options.limits, limit)
    assert mark == f"{failed_with(job)} limits.{limit} {allowed}"
    assert limit_in(mark) == limit
    assert limit_in(failed_with(job)) == ""


def test_a_failure_is_of_the_file_as_it_was_before_the_attempt(tmp_path):
    (job,) = jobs(tmp_path, 1)
    os.utime(job.path, (1e9, 1e9))
    begin = perf_counter()
    mark = failed(job, ValueError("odd"), begin).row.fingerprint
    assert mark == failed_with(job) == f"{os.stat(job.path).st_size} bytes, {10**18} ns"
    assert failed(job, ValueError("odd"), begin, again=True).row.fingerprint == ""
    os.utime(job.path, (4e9, 4e9))  # written since the attempt began
    assert failed(job, ValueError("odd"), begin).row.fingerprint == ""


def test_a_change_of_the_mask_is_a_change_too(tmp_path):
    one, two = jobs(tmp_path, 2)
    masked = replace(one, mask=two.path)
    before = failed_with(masked)
    os.utime(two.path, (1e9, 1e9))
    assert failed_with(masked) != before
    assert failed_with(replace(one, mask="gone.npy")) == ""
    assert failed_with(replace(one, path=str(tmp_path))) == ""
