"""Results of yesterday: made before a key, a version of the algorithm or of a reader."""

import json
from pathlib import Path

import numpy as np
import pytest
from chunkmeans import open_run, run
from chunkmeans.events import ImageFinished, Note
from chunkmeans.results.store import versions
from chunkmeans.sources.formats.npy import NpyImage
from chunkmeans.sources.formats.pillow import RasterImage
from PIL import Image

from tests.steps.examples import config, save_images
from tests.test_exactness import picture

SCOPES = ["image", "collection"]


@pytest.fixture(params=SCOPES)
def asked(tmp_path, request):
    """A run over three arrays, which has ended; its output is as yesterday's version left it."""
    save_images(tmp_path, 3)
    asked = config(tmp_path, kmeans={"scope": request.param})
    run(asked)
    of_yesterday(Path(asked.results.path))
    return asked


def of_yesterday(out):
    """Take away what the first version of the format did not write."""

    def first(record):
        del record["format_minor"], record["versions"]["algorithm"]

    edit(out / "run.json", first)
    for path in out.glob("images/**/*.ome.zarr/zarr.json"):
        edit(path, lambda group: group["attributes"]["chunkmeans"]["versions"].pop("algorithm"))


def edit(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def again(asked, **how):
    """Run again; returns what was segmented and the notes."""
    events = []
    run(asked, watch=events.append, **how)
    ended = {event.image for event in events if isinstance(event, ImageFinished)}
    return ended, "\n".join(event.text for event in events if isinstance(event, Note))


def log(asked):
    return (Path(asked.results.path) / "logs/run.jsonl").read_text()


def test_an_output_of_yesterday_is_kept(asked):
    before = {
        path: path.stat().st_mtime_ns for path in Path(asked.results.path).glob("images/**/c")
    }
    assert again(asked) == (set(), "")
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_keys_that_the_record_lacks_count_as_they_did(asked):
    def lacking(record):
        del record["settings"]["kmeans"]["restarts"], record["settings"]["results"]["pyramid"]
        record["settings"]["results"]["samples"] = False

    edit(Path(asked.results.path) / "run.json", lacking)
    assert again(asked) == (set(), "")


def test_another_version_of_the_algorithm_makes_everything_again_and_says_so(asked, monkeypatch):
    monkeypatch.setattr(versions, "ALGORITHM_VERSION", 2)
    ended, notes = again(asked)
    assert ended == {"image0", "image1", "image2"}
    assert "3 because it was computed by version 1 of the algorithm, now 2" in notes
    for image in ended:
        assert f"{image} is segmented again: it was computed by version 1" in log(asked)
    assert again(asked) == (set(), "")
    assert open_run(asked.results.path).images["image0"].attributes["versions"]["algorithm"] == "2"


def test_a_run_that_was_killed_between_two_versions_makes_the_rest_again(asked, monkeypatch):
    def stopped(event):
        if isinstance(event, ImageFinished):
            raise KeyboardInterrupt

    monkeypatch.setattr(versions, "ALGORITHM_VERSION", 2)
    with pytest.raises(KeyboardInterrupt):
        run(asked, watch=stopped)
    again(asked)
    images = open_run(asked.results.path).images
    assert {image.attributes["versions"]["algorithm"] for image in images.values()} == {"2"}
    assert again(asked) == (set(), "")


@pytest.mark.parametrize("kind", ["stat", "content"])
@pytest.mark.parametrize("scope", SCOPES)
def test_another_version_of_a_reader_concerns_what_it_read_and_nothing_else(
    tmp_path, monkeypatch, scope, kind
):
    save_images(tmp_path, 2)
    Image.fromarray(picture("uint8", 3, (20, 21))).save(tmp_path / "in/photo.bmp")
    Image.fromarray(picture("uint8", 1, (20, 21))[..., 0]).save(tmp_path / "in/grey.bmp")
    (tmp_path / "in/broken.bmp").write_bytes(b"BM")
    kmeans = {"scope": scope, "init": "random"}
    asked = config(tmp_path, images={"axes": None, "fingerprint": kind}, kmeans=kmeans)
    assert run(asked).counts["failed"] >= 1
    of_yesterday(Path(asked.results.path))

    monkeypatch.setattr(RasterImage, "reader", "pillow 2")
    ended, notes = again(asked)
    read = {"photo", "grey", "broken"}
    assert read <= ended
    if scope == "image":
        assert ended == read
    assert "because reading changed: it was read by version 1, now pillow 2" in notes
    assert "grey is segmented again: reading changed: it was read by version 1" in log(asked)
    source = open_run(asked.results.path).images["grey"].source["fingerprint"]
    assert source.endswith(" read by pillow 2")
    assert again(asked) == (set(), "")


def test_a_group_that_a_reader_concerns_gets_means_of_the_new_pixels(tmp_path, monkeypatch):
    """Neither old labels nor old tables of pixels are mixed with what is read now."""
    save_images(tmp_path, 2)
    np.save(tmp_path / "in/z.npy", picture("uint8", 1, (20, 20), seed=4))
    asked = config(tmp_path, kmeans={"scope": "collection"})
    run(asked)
    old = open_run(asked.results.path).model.means.copy()

    decode = NpyImage.decode

    def brighter(self, box, channels):
        pixels = decode(self, box, channels)
        return type(pixels)(pixels.values // 2, pixels.valid)

    monkeypatch.setattr(NpyImage, "decode", brighter)
    monkeypatch.setattr(NpyImage, "reader", "npy 2")
    assert again(asked)[0] == {"image0", "image1", "z"}
    new = open_run(asked.results.path).model.means.copy()
    assert not np.array_equal(new, old)
    run(asked, overwrite=True)
    np.testing.assert_array_equal(open_run(asked.results.path).model.means, new)


def test_the_reader_of_a_mask_counts_too(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in/a.npy", picture("uint8", 1, (9, 9)))
    Image.fromarray(np.full((9, 9), 255, np.uint8)).save(tmp_path / "in/m.bmp")
    (tmp_path / "in/list.csv").write_text("path,mask\na.npy,m.bmp\n")
    asked = config(tmp_path, images={"path": str(tmp_path / "in/list.csv"), "axes": None})
    assert run(asked).counts == {"done": 1}
    monkeypatch.setattr(RasterImage, "reader", "pillow 2")
    assert again(asked)[0] == {"a"}
