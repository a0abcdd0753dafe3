"""Which errors are tried again: those of disks by kind, those of networks by name."""

import errno
import subprocess
import sys

import pytest
from chunkmeans.errors import SourceError
from chunkmeans.retry import PAUSES, is_transient, with_retries


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        OSError("no words"),
        TimeoutError("late"),
        ConnectionResetError("cut"),
        OSError(errno.EIO, "input/output error"),
        OSError(errno.ESTALE, "stale file handle"),
        caused(SourceError("a.tif"), TimeoutError("late")),
        caused(SourceError("a.tif"), caused(SourceError("page 3"), OSError(errno.EIO, "eio"))),
    ],
)
def test_input_and_output_that_failed_for_the_moment_passes(error):
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError("a.tif"),
        PermissionError("a.tif"),
        IsADirectoryError("a"),
        NotADirectoryError("a.tif/b"),
        OSError(errno.ENOSPC, "no space left"),
        OSError(errno.EROFS, "read-only"),
        MemoryError(),
        ValueError("wrong"),
        SourceError("a.tif: broken"),
        caused(SourceError("a.tif"), FileNotFoundError("a.tif")),
        caused(SourceError("a.tif"), ValueError("wrong")),
        caused(ValueError("wrong"), TimeoutError("late")),
    ],
)
def test_everything_else_stays(error):
    assert not is_transient(error)


# -- of networks ----------------------------------------------------------------------------------


def of_botocore(name, **words):
    exceptions = pytest.importorskip("botocore.exceptions")
    return getattr(exceptions, name)(**words)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("EndpointConnectionError", {"endpoint_url": "http://host"}),
        ("ConnectTimeoutError", {"endpoint_url": "http://host"}),
        ("ReadTimeoutError", {"endpoint_url": "http://host"}),
        ("ConnectionClosedError", {"endpoint_url": "http://host"}),
        ("ResponseStreamingError", {"error": "cut"}),
        ("IncompleteReadError", {"actual_bytes": 1, "expected_bytes": 2}),
    ],
)
def test_connections_of_s3_that_fail_break_off_or_are_late_pass(name, words):
    assert is_transient(of_botocore(name, **words))
    assert is_transient(caused(SourceError("s3://bucket/a.tif"), of_botocore(name, **words)))


@pytest.mark.parametrize(
    ("name", "words"),
    [("NoCredentialsError", {}), ("ParamValidationError", {"report": "Invalid bucket name"})],
)
def test_what_is_wrong_with_a_request_stays(name, words):
    assert not is_transient(of_botocore(name, **words))


@pytest.mark.parametrize(
    ("code", "passes"),
    [
        ("SlowDown", True),
        ("503", True),
        ("500", True),
        ("InternalError", True),
        ("ServiceUnavailable", True),
        ("RequestTimeout", True),
        ("NoSuchBucket", False),
        ("NoSuchKey", False),
        ("AccessDenied", False),
        ("SignatureDoesNotMatch", False),
        ("InvalidBucketName", False),
    ],
)
def test_answers_of_s3_as_s3fs_translates_them(code, passes):
    errors = pytest.importorskip("s3fs.errors")
    answer = {"Error": {"Code": code, "Message": "words"}}
    told = errors.translate_boto_error(of_botocore(
        "ClientError", error_response=answer, operation_name="GetObject"
    ))  # fmt: skip
    assert is_transient(told) == passes


@pytest.mark.parametrize(
    ("status", "passes"),
    [(500, True), (503, True), (429, True), (408, True), (403, False), (404, False), (416, False)],
)
def test_answers_of_web_servers(status, passes):
    aiohttp = pytest.importorskip("aiohttp")
    assert is_transient(aiohttp.ClientResponseError(None, (), status=status)) == passes


def test_web_servers_that_hang_up_pass():
    aiohttp = pytest.importorskip("aiohttp")
    assert is_transient(aiohttp.ServerDisconnectedError())
    assert is_transient(aiohttp.ClientPayloadError("cut"))


def test_no_package_of_a_network_is_imported_to_know_its_errors():
    code = (
        "import sys, chunkmeans.retry as p\n"
        "assert not p.is_transient(ValueError())\n"
        "print([m for m in ('botocore', 'aiohttp', 's3fs', 'fsspec') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# -- again ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("failures", [0, 1, 2, 3])
def test_what_may_pass_is_tried_three_times_with_growing_rests(monkeypatch, failures):
    calls, rests = [], []
    monkeypatch.setattr("chunkmeans.retry.sleep", rests.append)

    def act():
        calls.append(1)
        if len(calls) <= failures:
            raise TimeoutError("late")
        return "value"

    if failures < 3:
        assert with_retries(act) == "value"
    else:
        with pytest.raises(TimeoutError):
            with_retries(act)
    assert len(calls) == min(failures + 1, 3)
    assert rests == list(PAUSES)[: len(calls) - 1]


def test_what_stays_is_tried_once(monkeypatch):
    monkeypatch.setattr("chunkmeans.retry.sleep", lambda _: pytest.fail("no reason to rest"))
    with pytest.raises(ZeroDivisionError):
        with_retries(lambda: 1 / 0)
