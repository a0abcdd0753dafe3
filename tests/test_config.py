"""The config: what it accepts, and what it says where it does not."""

import json
import math
import pickle
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import (
    Config,
    EarlierResults,
    GivenMeans,
    config_schema,
    document,
    load_config,
    make_config,
    parse_bytes,
)
from pipeline.errors import ConfigError

LEAST = """\
images:
  path: scans/
kmeans:
  k: 4
results:
  path: out
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a config into an empty current folder and return its name."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="c.yaml"):
        content = text if isinstance(text, bytes) else text.encode()
        Path(name).write_bytes(content)
        return name

    return write


def made(images=None, kmeans=None, results=None, **sections):
    """Make a config of the three needed keys and those of a test."""
    return make_config(
        images={"path": "a.tif", **(images or {})},
        kmeans={"k": 4, **(kmeans or {})},
        results={"path": "out", **(results or {})},
        **sections,
    )


def message(call, *args, **kwargs):
    with pytest.raises(ConfigError) as caught:
        call(*args, **kwargs)
    assert caught.value.exit_code == 2
    return str(caught.value)


# -- what a config is -------------------------------------------------------------------------


def test_every_key_has_its_default_but_three(write):
    config = load_config(write(LEAST))
    assert config.resolved() == {
        "images": {
            "path": ["scans/"],
            "storage_options": {},
            "series": 0,
            "region": None,
            "channels": None,
            "axes": None,
            "level": 0,
            "nodata": None,
            "mask": None,
        },
        "features": {"scale": "none"},
        "kmeans": {
            "k": 4,
            "scope": "image",
            "init": "random",
            "restarts": 1,
            "threshold": 0.0,
            "max_iterations": 1000,
            "empty": "farthest",
            "seed": 0,
        },
        "results": {
            "path": "out",
            "storage_options": {},
            "chunk": None,
            "shard": None,
            "pyramid": "mode",
            "mean_image": False,
        },
        "memory": None,
        "cluster": {"kind": "local", "options": {}},
    }


def test_sections_whose_keys_are_all_commented_out_are_all_defaults(write):
    empty = load_config(write(LEAST + "features:\n  # scale: range\ncluster:\nmemory:\n"))
    assert empty == load_config(write(LEAST))


def test_a_config_cannot_be_changed_and_pickles():
    config = made(cluster="tcp://host:8786")
    with pytest.raises(ValueError, match="frozen"):
        config.kmeans.k = 5
    assert pickle.loads(pickle.dumps(config)) == config


def test_python_values_of_other_kinds_are_taken_as_what_they_are():
    config = made(
        {"path": Path("a.tif"), "region": ((0, 4), (np.int64(1), None))},
        {"k": np.int64(2), "init": {"means": np.array([[1.5, 2], [3, 4]])}},
    )
    assert config.images.path == ("a.tif",)
    assert config.images.region == ((0, 4), (1, None))
    assert config.kmeans.k == 2
    assert config.kmeans.init == GivenMeans(means=((1.5, 2.0), (3.0, 4.0)))


edges = st.none() | st.integers(1, 10**6)
configs = st.fixed_dictionaries(
    {
        "images": st.fixed_dictionaries(
            {"path": st.sampled_from(["a.tif", ["a.tif", "b/*.png"]])},
            optional={
                "region": st.lists(
                    st.none() | st.tuples(st.none() | st.integers(0, 9), st.integers(10, 99)),
                    min_size=1,
                    max_size=4,
                ),
                "channels": st.lists(
                    st.integers(0, 9) | st.sampled_from(["red", "DAPI"]), min_size=1, unique=True
                ),
                "axes": st.sampled_from(["yx", "zyxc", "YXS", None]),
                "nodata": st.none() | st.floats() | st.lists(st.integers(), min_size=1),
                "mask": st.sampled_from([None, "masks/*.png"]),
            },
        ),
        "features": st.fixed_dictionaries(
            {},
            optional={
                "scale": st.sampled_from(["none", "standard", "range"])
                | st.lists(st.floats(1e-9, 1e9), min_size=1)
            },
        ),
        "kmeans": st.fixed_dictionaries(
            {"k": st.integers(1, 65535)},
            optional={
                "init": st.sampled_from(["random", "kmeans++", {"from": "earlier"}]),
                "threshold": st.floats(0, 1e300),
                "seed": st.integers(0, 2**63 - 1),
            },
        ),
        "results": st.fixed_dictionaries({"path": st.just("out")}, optional={"chunk": edges}),
    },
    optional={"memory": st.none() | st.integers(1)},
)


@given(configs)
def test_a_resolved_config_makes_the_same_config_again(sections):
    resolved = make_config(**sections).resolved()
    text = json.dumps(resolved, allow_nan=False)
    assert make_config(**json.loads(text)).resolved() == resolved


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


# -- errors name the place --------------------------------------------------------------------


def test_an_unknown_key_names_its_place_and_the_nearest_valid_one(write):
    text = LEAST.replace("  k: 4", "  k: 4\n  treshold: 0.1")
    assert message(load_config, write(text)) == (
        "c.yaml:5:3: kmeans.treshold: there is no such key; did you mean kmeans.threshold?"
    )


def test_a_key_of_another_section_is_named_there(write):
    assert "c.yaml:7:1: seed: there is no such key here; did you mean kmeans.seed?" in message(
        load_config, write(LEAST + "seed: 3\n")
    )


def test_an_unknown_key_like_no_other_lists_the_valid_ones(write):
    assert message(load_config, write(LEAST + "cluster: {gpu: 1}\n")) == (
        "c.yaml:7:11: cluster.gpu: there is no such key; known here: kind, options"
    )


def test_all_errors_are_listed_in_the_order_of_the_file(write):
    text = (
        "results:\n  path: out\n  pyramid: none!\n"
        "kmeans:\n  k: 0\n  threshold: -1\n"
        "images: {path: a.tif, series: 1.5}\n"
    )
    assert message(load_config, write(text)).splitlines() == [
        "c.yaml:3:3: results.pyramid: must be mode, nearest or none, found 'none!'; "
        "did you mean none?",
        "c.yaml:5:3: kmeans.k: must be at least 1, found 0",
        "c.yaml:6:3: kmeans.threshold: must be at least 0, found -1",
        "c.yaml:7:23: images.series: must be a whole number, found 1.5",
    ]


def test_a_missing_key_points_to_where_it_belongs(write):
    text = "images:\n  level: 0\nkmeans: {k: 2}\n"
    assert message(load_config, write(text)).splitlines() == [
        "c.yaml:1:1: images.path: is missing; it has no default",
        "c.yaml:1:1: results.path: is missing; it has no default",
    ]


def test_an_item_of_a_list_is_named_with_its_own_column(write):
    text = LEAST.replace("scans/", "scans/\n  region: [0:4, 4:2]")
    assert message(load_config, write(text)) == (
        "c.yaml:3:17: images.region.1: must start before it stops, found 4:2, which is empty"
    )


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
        ("images.path", [], "must name at least one image, found an empty list"),
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


# -- hostile and broken files -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "c.yaml:1:1: is empty"),
        ("# nothing\n", "c.yaml:1:1: is empty"),
        ("- 1\n", "c.yaml:1:1: must hold keys such as images:"),
        ("a: [1\n", "c.yaml:2:1: is not valid YAML: expected ',' or ']'"),
        ("a:\n\tb: 1\n", "c.yaml:2:1: is not valid YAML: found character '\\t'"),
        ("path: *.tif\n", "c.yaml:1:7: is not valid YAML: a text that begins with * needs quotes"),
        ("a: 1\n---\nb: 2\n", "c.yaml:2:1: is not valid YAML: but found another document"),
        (LEAST + "kmeans: {k: 3}\n", "c.yaml:7:1: kmeans: this key is given twice"),
        (b"a: 1\nb: \xe9t\xe9\n", "c.yaml:2:4: is not UTF-8 text (byte 0xe9)"),
        (b"\0\1\2", "c.yaml:1:1: is not valid YAML"),
        ("[" * 1000, "c.yaml:1:1: is nested too deeply"),
        (f"k: {'9' * 5000}\n", "c.yaml:1:1: is not valid YAML: Exceeds the limit"),
        ("d: 2026-13-45\n", "c.yaml:1:1: is not valid YAML: month must be in 1..12"),
        ("a: !secret x\n", "c.yaml:1:1: a: has the tag !secret; a config holds plain values only"),
        ("a: !!set {b}\n", "c.yaml:1:1: a: has the tag CommentedSet"),
        ("a: !!set b\n", "c.yaml:1:1: has a tag (!!...) that does not fit its value"),
        ("a: !!binary aGk=\n", "c.yaml:1:1: a: has the tag"),
        (LEAST + "1: 2\n", "c.yaml:7:1: 1: keys must be text; put it in quotes"),
    ],
)
def test_a_file_that_is_no_config_is_an_error_with_its_place(write, text, reason):
    assert message(load_config, write(text)).startswith(reason)


def test_a_tag_that_would_run_code_runs_nothing(write, tmp_path):
    canary = tmp_path / "canary"
    text = f"a: !!python/object/apply:os.system ['touch {canary}']\n"
    assert "has the tag !!python/object/apply:os.system" in message(load_config, write(text))
    assert not canary.exists()


def test_aliases_that_would_fill_the_memory_are_refused(write, monkeypatch):
    monkeypatch.setattr(document, "MOST_VALUES", 5_000)
    lines = ["a: &a [" + ", ".join(["1"] * 10) + "]"]
    for old, new in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{new}: &{new} [" + ", ".join([f"*{old}"] * 10) + "]")
    assert "holds more than 5,000 values" in message(load_config, write("\n".join(lines)))


def test_aliases_and_merged_keys_are_read_as_written_out(write):
    text = (
        "images: &common {path: a.tif, storage_options: {anon: true}}\n"
        "kmeans: {k: 2}\nresults:\n  <<: *common\n  path: out\n"
    )
    config = load_config(write(text))
    assert config.results.storage_options == {"anon": True}
    assert config.results.path == "out"


def test_a_file_that_is_not_there_cannot_be_read_or_is_a_folder_is_an_error_that_says_so(write):
    write("", "here.yaml")
    assert message(load_config, "gone.yaml") == "gone.yaml: there is no such file"
    assert message(load_config, ".") == ".: this is a folder; give the YAML file in it"
    assert "null byte" in message(load_config, "a\0b")


def test_an_image_given_as_config_is_refused_before_it_is_parsed(write):
    name = write("", "slide.tif")
    with Path(name).open("r+b") as file:
        file.truncate(2**30)
    assert "slide.tif: is larger than 16,777,216 bytes" in message(load_config, name)


@given(text=st.text(st.sampled_from("ab:-[]{}\n \"'*&!#|>%@`,?0~<."), max_size=40))
def test_any_text_is_a_config_or_a_config_error(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load_config(path)


def test_a_byte_order_mark_and_windows_lines_do_no_harm(write):
    text = b"\xef\xbb\xbf" + LEAST.replace("\n", "\r\n").encode()
    assert load_config(write(text)).kmeans.k == 4


# -- overrides --------------------------------------------------------------------------------


def test_overrides_are_yaml_and_the_last_one_wins(write):
    config = load_config(
        write(LEAST),
        ["kmeans.k=8", "kmeans.k=9", "images.path=[a.tif, b.tif]", "features={scale: range}"],
    )
    assert config.kmeans.k == 9
    assert config.images.path == ("a.tif", "b.tif")
    assert config.features.scale == "range"


def test_an_empty_override_is_null(write):
    text = LEAST.replace("scans/", "scans/\n  mask: masks/")
    assert load_config(write(text), ["images.mask="]).images.mask is None


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("kmeans.k", "--set kmeans.k: must be KEY=VALUE, such as --set kmeans.k=8"),
        ("=8", "--set =8: must be KEY=VALUE"),
        ("kmeans..k=8", "--set kmeans..k=8: must be KEY=VALUE"),
        ("kmeans.k=0", "--set kmeans.k=0: kmeans.k: must be at least 1, found 0"),
        ("kmeans={k: 0}", "--set kmeans={k: 0}: kmeans.k: must be at least 1, found 0"),
        (
            "kmeans.kk=8",
            "--set kmeans.kk=8: kmeans.kk: there is no such key; did you mean kmeans.k",
        ),
        ("kmeans.k.x=8", "--set kmeans.k.x=8: kmeans.k.x: kmeans.k is 4 and has no keys"),
        ("foo.bar=1", "--set foo.bar=1: foo: there is no such key; known here: images, features"),
        ("foo=1", "--set foo=1: foo: there is no such key"),
        ("a.b.c=1", "--set a.b.c=1: a: there is no such key"),
        ("kmeans.k=[8", "--set kmeans.k=[8: is not valid YAML; if the value is text"),
        ("images.path=!!set a", "--set images.path=!!set a: has a tag (!!...) that does not fit"),
        ("images.path=!!set {a}", "--set images.path=!!set {a}: has the tag CommentedSet"),
        ("images.path=!!python/name:os.system x", "--set images.path=!!python/name:os.system x:"),
        ("kmeans={k: 1, k: 2}", "--set kmeans={k: 1, k: 2}: k: this key is given twice"),
        ("images.mask={stem}", "--set images.mask={stem}: images.mask: must be a path or URL"),
    ],
)
def test_a_bad_override_is_named(write, override, reason):
    assert message(load_config, write(LEAST), [override]).startswith(reason)


@pytest.mark.parametrize(
    "value", ["*.tif", "{stem}.png", "{parent}/masks/{stem}.png", "@home", "'a", 'a "b": c: d']
)
def test_text_that_is_no_yaml_gets_the_quotes_that_make_it_one(write, value):
    text = message(load_config, write(LEAST), [f"images.mask={value}"])
    assert text.startswith(f"--set images.mask={value}: is not valid YAML; if the value is text")
    assert not any(jargon in text for jargon in ("<", "token", "scalar", "stream"))
    _, _, command = text.partition("those of the shell: ")
    option, assignment, *_ = shlex.split(command.partition("; if it is a list")[0])
    assert option == "--set"
    assert load_config(write(LEAST), [assignment]).images.mask == value


def test_a_long_value_that_is_no_yaml_is_not_repeated(write):
    text = message(load_config, write(LEAST), [f"images.mask={{stem}}{'x' * 100}"])
    assert text.startswith("--set images.mask=...: is not valid YAML")
    assert "--set 'images.mask=\"...\"'" in text
    assert "xxx" not in text


def test_an_override_does_not_hide_an_error_of_the_file(write):
    text = message(load_config, write(LEAST.replace("k: 4", "k: 0")), ["kmeans.seed=-1"])
    assert set(text.splitlines()) == {
        "c.yaml:4:3: kmeans.k: must be at least 1, found 0",
        "--set kmeans.seed=-1: kmeans.seed: must be at least 0, found -1",
    }


# -- the cluster ------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_cluster_may_be_a_file_with_or_without_the_key(write, wrapped):
    body = "kind: local\noptions:\n  n_workers: 2\n"
    if wrapped:
        body = "cluster:\n" + "".join(f"  {line}\n" for line in body.splitlines())
    write(body, "site.yaml")
    config = load_config(write(LEAST + "cluster: site.yaml\n"))
    assert config.cluster.kind == "local"
    assert config.cluster.options == {"n_workers": 2}


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:8786", "tls://head:8786", "head:8786"])
def test_a_cluster_may_be_an_address(write, address):
    config = load_config(write(LEAST), cluster=address)
    assert config.cluster.kind == "address"
    assert config.cluster.options == {"address": address}


def test_the_command_line_s_cluster_replaces_the_file_s_and_overrides_come_after(write):
    text = LEAST + "cluster: {kind: local, options: {n_workers: 2}}\n"
    config = load_config(write(text), ["cluster.options.threads=3"], cluster="serial")
    assert config.cluster.kind == "serial"
    assert config.cluster.options == {"threads": 3}


def test_errors_in_a_cluster_file_are_placed_in_it(write):
    write("kind: local\noption: {}\n", "site.yaml")
    assert message(load_config, write(LEAST), cluster="site.yaml") == (
        "site.yaml:2:1: cluster.option: there is no such key; did you mean cluster.options?"
    )


@pytest.mark.parametrize(
    ("cluster", "reason"),
    [
        ("gone.yaml", "--cluster gone.yaml: cluster: gone.yaml: there is no such file"),
        ("a b", "--cluster a b: cluster: must be a YAML file, an address"),
    ],
)
def test_a_cluster_that_names_nothing_is_an_error(write, cluster, reason):
    assert message(load_config, write(LEAST), cluster=cluster).startswith(reason)


# -- secrets and settings ---------------------------------------------------------------------

CANARY = "hunter2"


def test_secrets_are_in_nothing_that_is_written_or_said(write):
    config = made(
        {
            "path": [f"s3://me:{CANARY}@host/a.tif", f"https://host/b.tif?sig={CANARY}"],
            "storage_options": {"key": "me", "secret": CANARY},
            "mask": f"https://host/m.tif?sig={CANARY}&v=1",
        },
        results={"storage_options": {"nested": {"secret": CANARY}}},
    )
    assert config.images.storage_options["secret"] == CANARY
    for text in (json.dumps(config.resolved()), json.dumps(config.settings()), repr(config)):
        assert CANARY not in text


@pytest.mark.parametrize(
    "override",
    [
        f"images.storage_options={CANARY}",
        f"images.storage_options.key=*{CANARY}",
        f"images.storage_options.key=[{CANARY}",
        f"images.storage_options={{1: {CANARY}}}",
    ],
)
def test_errors_of_storage_options_do_not_repeat_them(write, override):
    text = message(load_config, write(LEAST), [override])
    assert "storage_options" in text
    assert CANARY not in text


def test_settings_are_those_that_decide_a_result():
    base = made().settings()
    same = [
        made({"path": ["b.tif", "c.tif"]}),
        made({"storage_options": {"anon": True}}),
        made(results={"path": "elsewhere"}),
        made(memory="8GiB"),
        made(cluster="serial"),
    ]
    other = [
        made(kmeans={"k": 5}),
        made(kmeans={"seed": 1}),
        made(kmeans={"init": "kmeans++"}),
        made({"nodata": 0}),
        made({"level": 1}),
        made(features={"scale": "range"}),
        made(results={"chunk": 256}),
        made(results={"mean_image": True}),
    ]
    assert all(config.settings() == base for config in same)
    assert all(config.settings() != base for config in other)


# -- the schema and the shipped configs -------------------------------------------------------


def test_the_schema_knows_every_key_and_says_what_it_is():
    schema = config_schema()
    assert schema["required"] == ["images", "kmeans", "results"]
    assert set(schema["properties"]) == set(Config.model_fields)
    for name in ("Images", "Features", "KMeans", "Results", "Cluster"):
        section = schema["$defs"][name]
        assert section["description"]
        assert section["additionalProperties"] is False
        assert all(key["description"] for key in section["properties"].values())


def shipped():
    return sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))


def test_the_three_configs_are_shipped():
    names = {path.name for path in shipped()}
    assert {"quickstart.yaml", "huge_image.yaml", "image_database.yaml"} <= names


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.name)
def test_every_shipped_config_loads_and_explains_every_key(path):
    assert load_config(path).kmeans.k > 1
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    keys = [line for line in lines if not line.lstrip().startswith(("#", "- ")) and ": " in line]
    assert all("#" in line for line in keys)


def test_the_config_is_read_without_heavy_packages():
    code = (
        "import sys, pipeline.config; "
        "heavy = {'numpy', 'dask', 'zarr', 'numba', 'tifffile', 'skimage'}; "
        "print(*heavy & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.stdout.strip(), found.stderr) == ("", "")
