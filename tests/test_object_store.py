"""Images behind URLs: what is read of them, and that it is read anew."""

import json
from io import BytesIO

import numpy as np
import pytest
import tifffile
import zarr
from chunkmeans import make_config, open_run, run
from chunkmeans.cli.commands import app
from chunkmeans.image.grid import Box
from chunkmeans.sources import ReadOptions, open_image
from chunkmeans.sources.find.collection import collect_entries
from typer.testing import CliRunner

from tests.support.object_store import OBJECTS, Told, put
from tests.test_exactness import picture

TILE, EDGE = 64, 1024
PIXELS = np.random.default_rng(0).integers(0, 255, (EDGE, EDGE), np.uint8)


@pytest.fixture(autouse=True)
def empty():
    yield
    Told.tell = None
    OBJECTS.clear()


@pytest.fixture
def read():
    """Return the bytes that are got of each object from now on."""
    found = {}

    def tell(when, request, path, nbytes):
        if (when, request) == ("after", "get"):
            found[path] = found.get(path, 0) + nbytes

    Told.tell = tell
    return found


def tiff(pixels, **options):
    file = BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def test_of_a_tiff_only_the_tiles_of_a_box_and_the_header_are_read(read):
    data = tiff(PIXELS, tile=(TILE, TILE))
    put("told://in/big.tif", data)
    box = Box((100, 200), (160, 300))  # 60 rows of 2 tiles beside each other
    pixels = open_image("told://in/big.tif").read(box).values[..., 0]
    assert np.array_equal(pixels, PIXELS[box.slices])
    header = 2**18  # what is read of it at a time
    assert read["in/big.tif"] == 60 * 2 * TILE + header < len(data) / 3


def test_of_a_tiff_that_is_known_only_the_tiles_of_a_box_are_read(read):
    put("told://in/big.tif", tiff(PIXELS, tile=(TILE, TILE)))
    image = open_image("told://in/big.tif")
    image.read(Box((0, 0), (1, 1)))
    read.clear()
    image.read(Box((64, 0), (128, 256)))
    assert read == {"in/big.tif": 4 * TILE**2}


def test_of_a_zarr_only_the_chunks_of_a_box_are_read(read):
    zarr.create_array("told://in/big.zarr", data=PIXELS, chunks=(TILE, TILE), compressors=None)
    read.clear()
    image = open_image("told://in/big.zarr")
    assert np.array_equal(image.read(Box((0, 0), (64, 128))).values[..., 0], PIXELS[:64, :128])
    chunks = {name: n for name, n in read.items() if "/c/" in name}
    assert chunks == {"in/big.zarr/c/0/0": TILE**2, "in/big.zarr/c/0/1": TILE**2}


def test_a_run_reads_each_tile_of_a_tiff_at_most_twice(read):
    data = tiff(PIXELS, tile=(TILE, TILE))
    put("told://in/big.tif", data)
    run(
        make_config(
            images={"path": "told://in/big.tif"},
            kmeans={"k": 2, "init": {"means": [[50], [200]]}},
            results={"path": "told://out"},
            cluster="serial",
        )
    )
    assert read["in/big.tif"] <= 2 * len(data) + 2**20


def test_what_came_or_changed_since_the_last_look_is_seen():
    def stamps():
        return {e.id: open_image(e.path).fingerprint() for e in collect_entries(["told://in"])}

    put("told://in/a.tif", tiff(PIXELS[:9, :9]))
    first = stamps()
    put("told://in/a.tif", tiff(PIXELS[:9, 1:10]))
    put("told://in/b.tif", tiff(PIXELS[:9, :9]))
    second = stamps()
    assert first.keys() == {"a"}
    assert second.keys() == {"a", "b"}
    assert second["a"] != first["a"]


def test_a_server_that_knows_no_ranges_is_named_as_such(monkeypatch):
    put("told://in/a.tif", tiff(PIXELS, tile=(TILE, TILE)))
    image = open_image("told://in/a.tif", ReadOptions())
    image.info  # noqa: B018
    plain = Told.cat_file
    monkeypatch.setattr(Told, "cat_file", lambda self, path, *extent: plain(self, path))
    with pytest.raises(Exception, match="the server does not serve ranges of bytes"):
        image.read(Box((0, 0), (8, 8)))


def config(images="told://in", out="told://out"):
    return {
        "images": {"path": images},
        "kmeans": {"k": 2, "init": {"means": [[50], [200]]}},
        "results": {"path": out},
        "cluster": "serial",
    }


def test_an_image_that_cannot_be_reached_for_a_while_keeps_its_result():
    for name in "ab":
        put(f"told://in/{name}.tif", tiff(PIXELS[:40, :40]))
    asked = make_config(**config())
    run(asked)
    before = dict(OBJECTS)

    def away(when, request, path, nbytes):
        if when == "before" and path == "in/a.tif":
            raise TimeoutError("the store did not answer")

    Told.tell = away
    assert run(asked).counts == {"failed": 1, "done": 1}
    Told.tell = None
    assert run(asked).counts == {"done": 2}
    same = [name for name in before if name.startswith("out/images/")]
    assert {name: OBJECTS[name] for name in same} == {name: before[name] for name in same}


def test_commands_take_a_config_for_what_opens_its_results(tmp_path):
    put("told://in/a.tif", tiff(PIXELS[:40, :40]))
    asked = {**config(), "kmeans": {**config()["kmeans"], "scope": "collection"}}
    (tmp_path / "c.yaml").write_text(json.dumps(asked))
    for command in (
        ["run"], ["status"],
        ["apply", "told://in/a.tif", "-o", "told://new", "--cluster", "serial"],
    ):  # fmt: skip
        name, *rest = command
        done = CliRunner().invoke(app, [name, str(tmp_path / "c.yaml"), *rest])
        assert done.exit_code == 0, done.output
    assert list(open_run("told://new").images) == ["a"]


def test_a_manifest_behind_a_url_is_asked_again_where_it_does_not_answer():
    put("told://in/a.tif", tiff(PIXELS[:40, :40]))
    put("told://in/list.csv", b"path,id\na.tif,first\n")
    late = [1, 1]

    def tell(when, request, path, nbytes):
        if when == "before" and path.endswith(".csv") and late:
            late.pop()
            raise TimeoutError("the store did not answer")

    Told.tell = tell
    assert [entry.id for entry in collect_entries(["told://in/list.csv"])] == ["first"]
    assert not late


def test_a_broken_folder_behind_a_url_that_is_mended_is_tried_again():
    put("told://in/a.zarr/zarr.json", b"{")
    config = make_config(
        images={"path": "told://in"},
        kmeans={"k": 2, "init": {"means": [[50], [200]]}},
        results={"path": "told://out"},
        cluster="serial",
    )
    assert run(config).counts == {"failed": 1}
    zarr.create_array("told://in/a.zarr", data=picture("uint8", 1, (9, 9))[..., 0], overwrite=True)
    assert run(config).counts == {"done": 1}
    assert list(open_run("told://out").images) == ["a"]
