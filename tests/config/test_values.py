"""Values with a form of their own, and what is said of wrong ones."""

import math
from pathlib import Path

import pytest
from chunkmeans.config import load_config, make_config
from chunkmeans.config.models import EarlierResults
from chunkmeans.config.values import parse_bytes

from tests.config.examples import LEAST, made, message

# -- values with a form of their own ----------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "span"),
    [
        ("0:4096", (0, 4096)),
        (":7", (None, 7)),
        ("7:", (7, None)),
        ('":"', (None, None)),
        ("null", (None, None)),
        ("[2, 5]", (2, 5)),
    ],
)
def test_a_region_is_start_and_stop_with_open_ends(write, written, span):
    config = load_config(write(LEAST), [f"images.region=[{written}, 3:9]"])
    assert config.images.region == (span, (3, 9))


def test_axes_are_letters_and_samples_are_channels():
    assert made({"axes": "zyxc"}).images.axes == "zyxc"
    assert made({"axes": "YXS"}).images.axes == "yxc"


def test_one_channel_needs_no_list():
    assert made({"channels": "DAPI"}).images.channels == ("DAPI",)
    assert made({"channels": [2, 0]}).images.channels == (2, 0)


def test_nodata_keeps_apart_one_number_for_all_and_one_per_channel(write):
    assert made({"nodata": 0}).images.nodata == 0
    assert made({"nodata": [0]}).images.nodata == (0,)
    assert math.isnan(load_config(write(LEAST), ["images.nodata=.nan"]).images.nodata)


def test_a_whole_float_is_the_same_nodata_setting_as_the_integer():
    assert made({"nodata": 255.0}).settings() == made({"nodata": 255}).settings()
    largest = 2**64 - 1
    assert made({"nodata": largest}).images.nodata == largest


def test_k_is_the_number_of_given_means():
    config = make_config(
        images={"path": "a"}, kmeans={"init": {"means": [[0], [9], [20]]}}, results={"path": "o"}
    )
    assert config.kmeans.k == 3


def test_means_may_come_from_earlier_results():
    init = made(kmeans={"init": {"from": "earlier/"}}).kmeans.init
    assert isinstance(init, EarlierResults)
    assert init.path == "earlier/"


def test_a_path_may_begin_with_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert made({"path": "~/scans"}).images.path == ("/home/ada/scans",)


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [
        (1024, 1024),
        ("1024", 1024),
        ("8GiB", 8 * 2**30),
        ("8 gib", 8 * 2**30),
        ("500MB", 500 * 10**6),
        ("500M", 500 * 10**6),
        ("1.5KiB", 1536),
        ("2TB", 2 * 10**12),
        ("64kB", 64_000),
    ],
)
def test_bytes_are_read_with_their_unit(text, nbytes):
    assert parse_bytes(text) == nbytes
    assert made(memory=text).memory == nbytes


@pytest.mark.parametrize("text", ["8 gigs", "GiB", "-1", 0, -5, 1.5, True, "0B", "1e9", "iB", [8]])
def test_what_is_no_number_of_bytes_is_refused(text):
    with pytest.raises(ValueError, match=r"must be (bytes such as 8GiB|at least 1 byte)"):
        parse_bytes(text)


# -- wrong values ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("kmeans.k", 0, "must be at least 1, found 0"),
        ("kmeans.k", 65536, "must be at most 65535, found 65536"),
        ("kmeans.k", "4", "must be a whole number, found '4'"),
        ("kmeans.k", 4.0, "must be a whole number, found 4.0"),
        ("kmeans.k", True, "must be a whole number, found true"),
        ("kmeans.k", None, "must be a whole number, found null"),
        ("kmeans.threshold", -0.5, "must be at least 0, found -0.5"),
        ("kmeans.threshold", math.nan, "must be a finite number, found nan"),
        ("kmeans.threshold", "low", "must be a number, found 'low'"),
        ("kmeans.max_iterations", 0, "must be at least 1, found 0"),
        ("kmeans.restarts", 0, "must be at least 1, found 0"),
        ("kmeans.seed", -1, "must be at least 0, found -1"),
        ("kmeans.seed", 2**63, f"must be less than {2**63}"),
        (
            "kmeans.scope",
            "images",
            "must be image, collection or group, found 'images'; did you mean image?",
        ),
        ("kmeans.empty", "drop", "must be farthest, keep or error, found 'drop'"),
        ("kmeans.init", "forgy", "must be random, kmeans++, {means"),
        ("kmeans.init", {"mean": [[1]]}, "found the keys mean"),
        ("kmeans.init", {"means": [[1], [2]]}, "gives 2 means where kmeans.k is 4"),
        ("kmeans.init", {"means": []}, "must be a list of means"),
        ("kmeans.init", {"means": [1, 2]}, "must be a list of a number per channel"),
        ("kmeans.init", {"means": [[1], [2, 3]]}, "has 2 channels where the first mean has 1"),
        ("kmeans.init", {"means": [[math.inf]]}, "must be a finite number, found inf"),
        ("kmeans.init", {"from": ""}, "must be a path or URL"),
        ("features.scale", "std", "must be none, standard, range or a list"),
        ("features.scale", [1, 0], "must be a positive number, found 0"),
        ("features.scale", [1, math.inf], "must be a positive number, found inf"),
        ("images.path", [], "must be at least one path or URL, found []"),
        ("images.path", ["a", ""], "must be a path or URL, found ''"),
        ("images.path", 123, "must be a path or URL, found 123; put it in quotes"),
        ("images.axes", "zzyx", "must be letters of tzyxc"),
        ("images.axes", "zyxsc", "must be letters of tzyxc"),
        ("images.axes", "tzc", "must be letters of tzyxc"),
        ("images.axes", "yxq", "must be letters of tzyxc"),
        ("images.channels", [], "must name at least one channel"),
        ("images.channels", [-1], "must be indices from 0 or names, found -1"),
        ("images.channels", [0, 0], "names channel 0 more than once"),
        ("images.nodata", "none", "must be a number or .nan, found 'none'"),
        ("images.nodata", [], "must be a number or one per channel"),
        ("images.region", "0:5", "must be a list of start:stop for each axis"),
        ("images.region", ["-5:5"], "must be start:stop in whole pixels from 0"),
        ("images.region", ["5:5"], "must start before it stops"),
        ("images.region", [5], "must be start:stop"),
        ("images.storage_options", 5, "must be a mapping of keys to values"),
        ("images.level", -1, "must be at least 0, found -1"),
        ("results.chunk", 0, "must be pixels, a whole number from 1"),
        ("results.chunk", "none", "must be pixels, a whole number from 1"),
        ("results.shard", "all", "must be pixels, a whole number from 1"),
        ("results.mean_image", "yes", "must be true or false, found 'yes'"),
        ("results.path", "a.tif", "which images.path names too"),
        ("memory", "8 gigs", "must be bytes such as 8GiB"),
        ("cluster.kind", 5, "must be text, found 5; put it in quotes"),
        ("cluster.kind", "a b", "must be a word such as local or serial, found 'a b'"),
        ("features", [1], "must be a mapping of keys to values, found [1]"),
    ],
)
def test_a_wrong_value_says_what_it_must_be_and_what_was_found(key, value, reason):
    sections = {"images": {"path": "a.tif"}, "kmeans": {"k": 4}, "results": {"path": "out"}}
    section, _, name = key.partition(".")
    if name:
        sections.setdefault(section, {})[name] = value
    else:
        sections[section] = value
    text = message(make_config, **sections)
    assert reason in text
    assert text.startswith(key)
    assert "\n" not in text
    assert "pydantic" not in text


def test_a_shard_holds_whole_chunks():
    assert made(results={"chunk": 512, "shard": [2048, 1024]}).results.shard == (2048, 1024)
    assert made(results={"chunk": 300, "shard": "none"}).results.shard == "none"
    assert "must hold whole chunks: 2048 is no multiple of 300" in message(
        made, results={"chunk": 300, "shard": 2048}
    )
    assert "has 3 axes where results.chunk has 2" in message(
        made, results={"chunk": [8, 8], "shard": [16, 16, 16]}
    )


@pytest.mark.parametrize(
    ("images", "results"),
    [
        ("inp", "./inp"),
        ("inp/", "a/../inp"),
        ("inp", "{here}/inp"),
        ("file://{here}/inp", "inp"),
        (["b.tif", "inp/../c"], "c"),
        ("s3://bucket/a/", "s3://bucket//a"),
    ],
)
def test_results_in_the_place_of_the_images_are_refused_however_it_is_written(images, results):
    here = str(Path.cwd())
    images = [path.format(here=here) for path in ([images] if isinstance(images, str) else images)]
    text = message(made, {"path": images}, results={"path": results.format(here=here)})
    assert text.startswith("results.path: is ")
    assert "which images.path names too" in text
    assert text.endswith("results need a place of their own")


@pytest.mark.parametrize(
    ("images", "results"),
    [("out/a.tif", "out"), ("out/scans/*.tif", "./out/"), ("a.tif", "."), ("s3://b/c", "s3://b")],
)
def test_results_around_the_images_are_refused(images, results):
    text = message(made, {"path": images}, results={"path": results})
    assert text == (
        f"results.path: is {results!r}, in which images.path {images!r} lies; results need a "
        "place of their own"
    )


@pytest.mark.parametrize(
    ("images", "results"),
    [
        ("scans", "scans/results"),
        ("scans/*.tif", "scans/results"),
        (".", "out"),
        ("out-2", "out"),
        ("s3://bucket/a", "s3://other/a"),
        ("package://skimage/data/coins.png", "package"),
    ],
)
def test_results_below_or_beside_the_images_are_taken(images, results):
    assert made({"path": images}, results={"path": results}).results.path == results
