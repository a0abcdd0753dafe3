"""A canary in everything that opens a store is found in nothing that a run leaves or says."""

import base64
import json
import logging
import os
import subprocess
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

import pytest
import tifffile
from chunkmeans import secrets
from chunkmeans.cli import main
from chunkmeans.secrets import HIDDEN, holds_password, keep_secret, without_secrets

from tests.support.places import PYTHONPATH
from tests.support.web import served
from tests.test_exactness import picture

ROOT = Path(__file__).parents[1]
CANARY = "canary/Zq7+x0"
"""With what makes trouble in a URL and in patterns."""
QUOTED = "canary-Zq7x0"


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    monkeypatch.setattr(secrets, "_known", set())


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    tifffile.imwrite("in/a.tif", picture("uint8", 1, (40, 50))[..., 0], tile=(16, 16))
    return tmp_path


def command(*args, expected, prelude="", **environment):
    """Run the command in a process of its own; return all that it said."""
    code = f"{prelude}\nfrom chunkmeans.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": PYTHONPATH, **environment},
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode in expected, said
    assert "This is a bug" not in said, said
    return said


def command_in_a_copy(*args, expected, prelude=""):
    """Do as `command` in a copy of this process, which has imported everything already."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks: nothing is shared here
        with tempfile.TemporaryFile() as file:
            child = os.fork()
            if child == 0:
                code = 70
                try:
                    os.dup2(file.fileno(), 1)
                    os.dup2(file.fileno(), 2)
                    sys.stdout = os.fdopen(1, "w", closefd=False)
                    sys.stderr = os.fdopen(2, "w", closefd=False)
                    logging.getLogger().handlers.clear()  # pytest's
                    sys.argv = ["-c", *map(str, args)]
                    code = _called(prelude)
                finally:
                    sys.stdout.flush()
                    sys.stderr.flush()
                    os._exit(code)
            _, status = os.waitpid(child, 0)
            file.seek(0)
            said = file.read().decode()
    assert os.waitstatus_to_exitcode(status) in expected, said
    assert "This is a bug" not in said, said
    return said


def _called(prelude):
    """Return the status with which the command ends."""
    warnings.resetwarnings()
    try:
        exec(prelude, {"__name__": "prelude"})
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def left_in(folder):
    """Return all bytes, and all names, of files below a folder, but for configs."""
    files = [p for p in Path(folder).rglob("*") if p.is_file() and p.suffix != ".yaml"]
    return b"\n".join([bytes(p) + b"\n" + p.read_bytes() for p in files])


def refuse_canary(said, folder="."):
    for canary in (CANARY, QUOTED, base64.b64encode(f"me:{QUOTED}".encode()).decode()):
        assert canary not in said
        assert canary.encode() not in left_in(folder)


def config(images, out="out", options=None, **more):
    opening = {"storage_options": options} if options else {}
    asked = {
        "images": {"path": images, **opening},
        "kmeans": {"k": 2, "init": {"means": [[50], [200]]}},
        "results": {"path": out, **(opening if "://" in out else {})},
        "cluster": "serial",
        **more,
    }
    Path("c.yaml").write_text(json.dumps(asked))
    return "c.yaml"


# -- texts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        f"s3://AKIA:{CANARY}@bucket/a.tif",
        f"https://me:{QUOTED}@host:8080/a.tif",
        f"https://{QUOTED}@host/a.tif",
        f"ftp://me:a@b/{QUOTED}@host/x",
        f"simplecache::s3://me:{CANARY}@bucket/a.tif",
        f"zip://a.tif::https://me:{QUOTED}@host/a.zip",
    ],
)
def test_a_url_with_a_password_is_known_and_hidden_in_any_text(url):
    assert holds_password(url)
    for text in (url, f"GET '{url}': 403", json.dumps({"path": url}), f"({url}, {url})"):
        assert CANARY not in without_secrets(text)
        assert QUOTED not in without_secrets(text)


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/a@b.tif", "s3://bucket/a:b@c.tif", "http://host:8080/a@b.tif",
        "abfs://container@account.host/a.tif", "zip://b.tif::/c@d.zip", "sftp://me@host/a.tif",
        "/data/a:b@c.tif", "s3://bucket/a?.tif", "http://host:8080",
    ],
)  # fmt: skip
def test_a_url_without_a_password_stays_as_it_is(url):
    assert not holds_password(url)
    assert without_secrets(f"{url}: no such file") == f"{url}: no such file"


def test_what_opened_a_store_is_hidden_wherever_it_turns_up(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the environment")
    keep_secret(
        "https://host/a.tif?Signature=a-signature&page=number-7",
        {
            "key": "AKIA-canary", "token": "short", "endpoint_url": "http://host",
            "client_kwargs": {"headers": {"Authorization": ["Bearer canary"]}, "region": "here-1"},
        }
    )  # fmt: skip
    text = (
        "a-signature number-7 AKIA-canary short http://host Bearer canary here-1 of the environment"
    )
    assert (
        without_secrets(text)
        == f"{HIDDEN} number-7 {HIDDEN} short http://host {HIDDEN} here-1 {HIDDEN}"
    )


# -- runs -----------------------------------------------------------------------------------------

NASTY = """
import tests.support.object_store as o, glob
for n in glob.glob('in/*'):
    o.put('told://' + n, open(n, 'rb').read())
class Nasty(o.Told):
    def __init__(self, **options):
        super().__init__(**options)
        self.said = repr(options)
    def cat_file(self, path, start=None, end=None):
        if 'a.tif' in path:
            raise FAILURE(f'refused {self.said}')
        return super().cat_file(path, start, end)
    def pipe_file(self, path, value, mode='overwrite'):
        if 'WRONG' in path:
            raise FAILURE(f'refused {self.said}')
        super().pipe_file(path, value, mode)
import fsspec
fsspec.register_implementation('told', Nasty, clobber=True)
"""


@pytest.mark.parametrize("failure", ["PermissionError", "TimeoutError", "RuntimeError"])
@pytest.mark.parametrize("where", ["images", "results"])
def test_a_store_that_repeats_its_keys_in_every_error(here, failure, where):
    options = {"key": CANARY, "secret": CANARY + "2", "token": QUOTED}
    if where == "images":
        asked = config("told://in", options=options)
    else:
        asked = config(str(here / "in"), "told://WRONG", options)
    # one in a fresh process, where nothing of pytest receives warnings and logs
    said = (command if failure == "PermissionError" else command_in_a_copy)(
        "run", asked, expected=(1, 2, 3), prelude=NASTY.replace("FAILURE", failure)
    )
    assert "refused" in said
    refuse_canary(said)
    if where == "images":
        assert b"refused" in left_in("out")
        said = command_in_a_copy("status", "out", "--json", expected=(0,))
        assert "refused" in said
        refuse_canary(said)


@pytest.mark.parametrize("url", ["s3://me:{}@bucket/in", "https://me:{}@127.0.0.1:1/a.tif"])
@pytest.mark.parametrize("way", ["config", "set", "segment", "inspect", "status", "manifest"])
def test_urls_with_passwords_are_refused_everywhere(here, url, way):
    url = url.format(CANARY)
    if way == "manifest":
        Path("list.csv").write_text(f"path\n{url}\n")
    asked = {
        "config": lambda: ("run", config(url)),
        "set": lambda: ("run", config("in"), "--set", f"results.path={url}"),
        "segment": lambda: ("segment", url, "-k", "2", "-o", "out"),
        "inspect": lambda: ("inspect", url),
        "status": lambda: ("status", url, "--json"),
        "manifest": lambda: ("run", config("list.csv")),
    }[way]()
    said = command_in_a_copy(*asked, expected=(1, 2))
    assert "holds a password" in said
    assert CANARY not in said
    assert not Path("out").exists()


def test_images_of_a_web_server_that_wants_a_password(here):
    pytest.importorskip("aiohttp")
    words = base64.b64encode(f"me:{QUOTED}".encode()).decode()
    with served("in", user="me", password=QUOTED) as url:
        right = {"headers": {"Authorization": f"Basic {words}"}}
        refuse_canary(command("run", config(f"{url}/a.tif", options=right), expected=(0,)))
        wrong = {"headers": {"Authorization": f"Basic {QUOTED}"}}
        said = command("run", config(f"{url}/a.tif", "wrong", wrong), expected=(1,))
    assert "403" in said
    refuse_canary(said)


def test_images_by_signed_urls(here):
    pytest.importorskip("aiohttp")
    with served("in", signature=QUOTED) as url:
        right, wrong = f"{url}/a.tif?Signature={QUOTED}", f"{url}/a.tif?Signature={QUOTED}-old"
        refuse_canary(command("run", config(right), expected=(0,)))
        assert {p.name for p in Path("out/images").iterdir()} == {"a.ome.zarr"}
        again = command("run", config(right), expected=(0,))
        assert "all of them ended before" in again
        said = command("run", config(wrong, "wrong"), expected=(1,))
        refuse_canary(said + again)
    said = command("run", config(right, "down"), expected=(1, 3))
    refuse_canary(said)
