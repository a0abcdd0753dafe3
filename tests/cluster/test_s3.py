"""Images and results on a real S3 server: the same bytes as in a folder, whatever happens."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from chunkmeans import ResultError, apply, load_config, make_config, open_run, run
from chunkmeans.cli.commands import app
from chunkmeans.image.grid import Box
from chunkmeans.results.read.open_results import open_segmented
from chunkmeans.results.store.lease import Lease, holder
from chunkmeans.results.store.object_store import ObjectStore
from chunkmeans.results.store.store import Store, image_path
from chunkmeans.sources import ReadOptions
from chunkmeans.sources import open_image as open_source
from chunkmeans.sources.files.paths import local
from chunkmeans.steps.plan.jobs import jobs_of
from typer.testing import CliRunner

from tests.cluster.seaweed import BUCKET, Seaweed, s3
from tests.support.kills import killed_driver
from tests.support.places import PYTHONPATH
from tests.support.ways import Way
from tests.test_exactness import picture

__all__ = ["s3"]

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]
MEANS = [[10.0], [90.0], [200.0]]
OF_PLACE = ("path", "fingerprint")
"""What a result says of its source that depends on where it lies."""


# -- what the tests share -------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def four(s3, tmp_path_factory):
    """Four small images, in a folder and in the bucket; returns the folder."""
    folder = tmp_path_factory.mktemp("four")
    for i, name in enumerate("abcd"):
        pixels = picture("uint8", 1, (70 + i, 60), seed=i)[..., 0]
        tifffile.imwrite(folder / f"{name}.tif", pixels, tile=(16, 16))
        s3.files.put_file(str(folder / f"{name}.tif"), f"{BUCKET}/four/{name}.tif")
    return folder


@pytest.fixture
def place(s3, request):
    """Return a prefix of the bucket for the results of this test."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())
    return f"s3://{BUCKET}/results/{name}"


def sections(images, out, options, scope="image", cluster="serial", **more):
    """Return a config of small images, of which everything is on S3 or in a folder.

    `more` are options of the cluster.
    """
    opening = {"storage_options": options} if "://" in str(out) else {}
    return {
        "images": {"path": images, **opening},
        "kmeans": {"k": 3, "scope": scope, "init": {"means": MEANS}},
        "results": {"path": str(out), "chunk": 16, "shard": 32, **opening},
        "cluster": {"kind": cluster, "options": more},
    }


def bytes_of(store):
    """Return everything a run leaves but what tells of times, and of where images lie."""
    found = {}
    for name in store.files():
        if name in ("run.json", "catalog.csv") or name.startswith(("logs/", "samples.zarr/")):
            continue
        data = store.read_bytes(name)
        if name.endswith("zarr.json"):
            document = json.loads(data)
            own = document.get("attributes", {}).get("chunkmeans", {})
            for key in OF_PLACE:
                own.get("source", {}).pop(key, None)
            own.pop("pool", None)  # names the images by their fingerprints
            data = json.dumps(document).encode()
        found[name] = data
    return found


def write_config(path, config):
    path.write_text(json.dumps(config))  # which is YAML
    return str(path)


def call(*args):
    return CliRunner().invoke(app, [str(a) for a in args], prog_name="chunkmeans")


# -- the same bytes -------------------------------------------------------------------------------


def test_the_quickstart_on_s3_leaves_the_bytes_of_a_run_in_folders(s3, here, place):
    quickstart = ROOT / "configs/quickstart.yaml"
    Path("pictures").mkdir()
    for path in load_config(quickstart).images.path:
        file = Path("pictures", path.rsplit("/", 1)[-1])
        shutil.copy(local(path), file)
        s3.files.put_file(str(file), f"{BUCKET}/pictures/{file.name}")
    run(load_config(
        quickstart, ["images.path=pictures", "results.path=out"], cluster="serial"
    ))  # fmt: skip
    opening = json.dumps(s3.options)
    record = run(
        load_config(
            quickstart,
            [
                f"images.path=s3://{BUCKET}/pictures", f"images.storage_options={opening}",
                f"results.path={place}", f"results.storage_options={opening}",
            ],
        )
    )  # fmt: skip
    assert record.counts == {"done": 6}
    there = bytes_of(Store(place, s3.options))
    assert there == bytes_of(Store("out"))
    assert len(there) > 60
    coins, here = (open_run(*args).images["coins"] for args in ((place, s3.options), ("out",)))
    np.testing.assert_array_equal(coins.labels()[...], here.labels()[...])


@pytest.mark.parametrize("scope", ["image", "collection"])
def test_worker_processes_on_s3_leave_the_bytes_of_one_in_a_folder(s3, four, here, place, scope):
    run(make_config(**sections(str(four), "out", {}, scope)))
    asked = sections(
        f"s3://{BUCKET}/four", place, s3.options, scope, "local",
        n_workers=2, threads_per_worker=1,
    )  # fmt: skip
    assert run(make_config(**asked)).counts == {"done": 4}
    assert bytes_of(Store(place, s3.options)) == bytes_of(Store("out"))


@pytest.mark.parametrize("scope", ["image", "collection"])
@pytest.mark.parametrize("number", [2, 20])
def test_a_killed_run_on_s3_goes_on_to_the_same_bytes(s3, four, here, place, scope, number):
    run(make_config(**sections(str(four), "out", {}, scope)))
    asked = sections(f"s3://{BUCKET}/four", place, s3.options, scope)
    killed, _ = killed_driver(asked, Way(small=0, chunk=600, bundle=1), number, 0.02)
    store = Store(place, s3.options)
    if killed:
        assert holder(store) is not None
    for name in store.image_names():
        image = open_segmented(store, image_path(name), allow_incomplete=True)
        if image.complete:
            image.check(read=True)
    assert run(make_config(**asked)).counts == {"done": 4}
    assert bytes_of(store) == bytes_of(Store("out"))
    assert holder(store) is None


def test_a_server_that_is_gone_for_a_while_costs_no_bit(s3, four, here, tmp_path):
    """It ends the run, or its images, with the reason; then the same command does the rest."""
    run(make_config(**sections(str(four), "out", {})))
    mine = Seaweed(tmp_path / "mine")
    mine.start()
    try:
        for file in four.iterdir():
            mine.files.put_file(str(file), f"{BUCKET}/four/{file.name}")
        out = f"s3://{BUCKET}/out"
        config = write_config(
            here / "c.yaml",
            sections(f"s3://{BUCKET}/four", out, quick(mine.options)),
        )
        process = subprocess.Popen(
            [sys.executable, "-c", "from chunkmeans.cli import main; main()", "run", config],
            stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=here,
            env={**os.environ, "PYTHONPATH": PYTHONPATH},
        )  # fmt: skip
        store = Store(out, mine.options)
        while not store.exists("lease.json") and process.poll() is None:
            time.sleep(0.02)
        mine.stop()
        _, said = process.communicate(timeout=200)
        assert process.returncode in (0, 1, 3), said
        if process.returncode == 3:
            assert "the same command resumes" in said
        assert "Traceback" not in said
        mine.start()
        again = call("run", config)
        assert again.exit_code == 0, again.stderr
        assert bytes_of(store) == bytes_of(Store("out"))
    finally:
        mine.stop()


def quick(options):
    """Return options by which a server that is gone is given up soon."""
    return {
        **options,
        "config_kwargs": {
            "connect_timeout": 1, "read_timeout": 5, "retries": {"max_attempts": 1},
        },
    }  # fmt: skip


# -- ways to name ---------------------------------------------------------------------------------


def test_prefixes_patterns_lists_and_manifests_name_images_on_s3(s3, four):
    table = "path,id\na.tif,first\n" + f"s3://{BUCKET}/four/b.tif,second\n"
    s3.files.pipe_file(f"{BUCKET}/four/list.csv", table.encode())
    named = {
        f"s3://{BUCKET}/four": ["a", "b", "c", "d"],
        f"s3://{BUCKET}/four/": ["a", "b", "c", "d"],
        f"s3://{BUCKET}/four/[bc]*.tif": ["b", "c"],
        f"s3://{BUCKET}/*/d.tif": ["four/d"],
        f"s3://{BUCKET}/four/c.tif": ["c"],
        f"s3://{BUCKET}/four/list.csv": ["first", "second"],
    }
    for path, ids in named.items():
        config = make_config(**sections(path, "s3://nowhere/out", s3.options))
        assert [job.id for job in jobs_of(config)] == ids, path


def test_results_that_lie_among_the_images_are_passed_over(s3, four):
    asked = sections(f"s3://{BUCKET}/nest", f"s3://{BUCKET}/nest/out", s3.options)
    s3.files.put_file(str(four / "a.tif"), f"{BUCKET}/nest/a.tif")
    run(make_config(**asked))
    assert [job.id for job in jobs_of(make_config(**asked))] == ["a"]


# -- commands -------------------------------------------------------------------------------------


def test_every_command_works_on_s3(s3, four, here, place):
    asked = sections(f"s3://{BUCKET}/four", place, s3.options, "collection")
    config = write_config(here / "c.yaml", asked)
    planned = json.loads(call("plan", config, "--json").stdout)
    assert len(planned["images"]) == 4

    done = call("run", config)
    assert done.exit_code == 0, done.stderr
    assert json.loads(call("status", config, "--json").stdout)["counts"] == {"done": 4}

    clash = call("run", config, "--set", "kmeans.max_iterations=3")
    assert clash.exit_code == 2
    assert "--overwrite" in clash.stderr
    over = call("run", config, "--set", "kmeans.max_iterations=3", "--overwrite")
    assert over.exit_code == 0, over.stderr
    assert len(open_run(place, s3.options).model.residuals) <= 3

    labelled = call("apply", config, f"s3://{BUCKET}/four/b.tif", "-o", f"{place}-applied",
                    "--cluster", "serial")  # fmt: skip
    assert labelled.exit_code == 0, labelled.stderr
    applied = open_run(f"{place}-applied", s3.options)
    np.testing.assert_array_equal(
        applied.images["b"].labels()[...], open_run(place, s3.options).images["b"].labels()[...]
    )

    record = apply(load_config(config), str(four / "c.tif"), "here", cluster="serial")
    assert set(record.counts) <= {"done", "warned"}


def test_a_failed_image_is_retried_when_it_is_mended(s3, four, here, place):
    bad = f"{BUCKET}/mended/x.tif"
    s3.files.pipe_file(bad, b"II*\0 and no more")
    config = write_config(here / "c.yaml", sections(f"s3://{BUCKET}/mended", place, s3.options))
    first = call("run", config)
    assert first.exit_code == 1
    assert call("run", config).exit_code == 1
    s3.files.put_file(str(four / "a.tif"), bad)
    again = call("retry", config)
    assert again.exit_code == 0, again.stderr
    assert open_run(place, s3.options).images["x"].complete


def test_a_changed_image_is_done_again_and_no_other(s3, four, here, place):
    for name in "ab":
        s3.files.put_file(str(four / f"{name}.tif"), f"{BUCKET}/changing/{name}.tif")
    asked = make_config(**sections(f"s3://{BUCKET}/changing", place, s3.options))
    run(asked)
    store = Store(place, s3.options)
    before = {row.id: row.fingerprint for row in open_run(place, s3.options).catalog}
    s3.files.put_file(str(four / "c.tif"), f"{BUCKET}/changing/b.tif")
    run(asked)
    after = {row.id: row.fingerprint for row in open_run(place, s3.options).catalog}
    assert after["a"] == before["a"]
    assert after["b"] != before["b"]
    log = "".join(store.read_text(f"logs/{name}") for name in store.names("logs"))
    assert "b is segmented again: the file changed" in log
    assert "a is segmented again" not in log


# -- one driver -----------------------------------------------------------------------------------


def test_a_second_driver_is_refused_while_the_first_lives(s3, four, place):
    store = Store(place, s3.options)
    with Lease(store), pytest.raises(ResultError, match="another run is writing there"):
        run(make_config(**sections(f"s3://{BUCKET}/four", place, s3.options)))
    assert store.files() == []


def test_the_server_tells_of_two_that_create_an_object_which_was_first(s3, place):
    bucket = ObjectStore(s3.options)
    assert bucket.create(f"{place}/lease.json", b"mine")
    assert not bucket.create(f"{place}/lease.json", b"theirs")
    with pytest.raises(OSError, match="pre-conditions"):
        s3.files.pipe_file(f"{place}/lease.json".removeprefix("s3://"), b"x", mode="create")
    assert bucket.get(f"{place}/lease.json") == b"mine"


# -- how much is read -----------------------------------------------------------------------------


def test_of_a_big_tiff_only_tiles_and_headers_travel(s3, here, monkeypatch):
    edge, tile = 4096, 256
    pixels = np.random.default_rng(0).integers(0, 255, (edge, edge), np.uint8)
    tifffile.imwrite("big.tif", pixels, tile=(tile, tile))
    s3.files.put_file("big.tif", f"{BUCKET}/big/big.tif")

    from s3fs import S3FileSystem

    travelled = []
    plain = S3FileSystem._call_s3

    async def counted(self, method, *args, **kwargs):
        answer = await plain(self, method, *args, **kwargs)
        if method == "get_object":
            travelled.append(answer["ContentLength"])
        return answer

    monkeypatch.setattr(S3FileSystem, "_call_s3", counted)
    image = open_source(f"s3://{BUCKET}/big/big.tif", ReadOptions(storage_options=s3.options))
    box = Box((300, 300), (700, 700))  # 400 rows of 2 tiles beside each other
    assert np.array_equal(image.read(box).values[..., 0], pixels[box.slices])
    header = 2**18  # what is read of it at a time
    assert sum(travelled) == 400 * 2 * tile + header
    travelled.clear()
    image.read(Box((0, 0), (tile, tile)))
    assert travelled == [tile**2]


# -- keys -----------------------------------------------------------------------------------------

CANARY = "canary/Zq7+x0"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, four):
    """A server that only the canary opens; it may make a bucket that is missing."""
    server = Seaweed(tmp_path_factory.mktemp("guarded"), f"AK-{CANARY[:6]}", CANARY)
    server.start()
    for file in four.iterdir():
        server.files.put_file(str(file), f"{BUCKET}/four/{file.name}")
    yield server
    server.stop()


@pytest.mark.parametrize(
    ("case", "codes", "cluster"),
    [
        ("good", {0}, "serial"), ("good", {0}, "local"), ("bucket", {0, 2, 3}, "serial"),
        ("secret", {2}, "serial"), ("token", {2}, "serial"), ("down", {3}, "serial"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("by", ["config", "environment"])
def test_keys_are_found_in_nothing_that_a_run_leaves_or_says(
    guarded, here, place, case, codes, by, cluster
):
    options = quick(guarded.options)
    environment = {}
    if case == "secret":
        options["secret"] = f"{CANARY}-wrong"
    if case == "token":
        options["token"] = f"{CANARY}-of-a-session-that-never-was"
    if case == "down":
        options["endpoint_url"] = "http://127.0.0.1:9"
    if by == "environment":
        names = {"key": "AWS_ACCESS_KEY_ID", "secret": "AWS_SECRET_ACCESS_KEY",
                 "token": "AWS_SESSION_TOKEN"}  # fmt: skip
        environment = {names[n]: options.pop(n) for n in list(options) if n in names}
    out = place.replace(BUCKET, "no-such-bucket") if case == "bucket" else place
    asked = sections(f"s3://{BUCKET}/four", out, options, cluster=cluster)
    if case in ("bucket", "down"):  # images are there, results are not to be written
        asked["images"] = {"path": f"s3://{BUCKET}/four/a.tif", "storage_options": options}
    config = write_config(here / "c.yaml", asked)
    said = ""
    for command in (["plan", config], ["run", config], ["status", config, "--json"]):
        done = subprocess.run(
            [sys.executable, "-c", "from chunkmeans.cli import main; main()", *command],
            capture_output=True, text=True, cwd=here,
            env={**os.environ, "PYTHONPATH": PYTHONPATH, **environment},
        )  # fmt: skip
        said += done.stdout + done.stderr
        if command[0] == "run":
            assert done.returncode in codes, done.stderr
    assert "canary" not in said
    assert "Traceback" not in said
    left = Store(place, guarded.options)
    for name in left.files():
        data = left.read_bytes(name)
        assert b"canary" not in data, name
    assert (len(left.files()) > 20) == (case == "good")
    for file in here.rglob("*"):
        if file.is_file() and file.name != "c.yaml":
            assert b"canary" not in file.read_bytes(), file
