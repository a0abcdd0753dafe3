"""What is refused, before the start or image by image, and what is said."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from chunkmeans import SourceError, open_run, segment
from chunkmeans.cli.commands import app
from typer.testing import CliRunner

from tests.support.outputs import by_state, complete, save_four
from tests.test_agreement import stored
from tests.test_exactness import picture

# -- other settings, other folders ----------------------------------------------------------------


def call(*args):
    """Call the program in this process; return its exit code and what it printed."""
    result = CliRunner().invoke(app, [*args], prog_name="chunkmeans")
    return result.exit_code, re.sub(r"\s+", " ", result.output)


@pytest.fixture
def yaml(tmp_path, monkeypatch):
    """Path of a config of four small images, in the current folder."""
    monkeypatch.chdir(tmp_path)
    save_four()
    Path("c.yaml").write_text(
        "images:\n  path: in\n  axes: yxc\n"
        "kmeans:\n  k: 3\n"
        "results:\n  path: out\n"
        "cluster:\n  kind: serial\n"
    )
    return "c.yaml"


def test_other_settings_are_refused_by_name_unless_they_may_overwrite(yaml):
    assert call("run", yaml)[0] == 0
    before = stored("out")

    code, said = call("run", yaml, "--set", "kmeans.k=4", "--set", "kmeans.seed=9")
    assert code == 2
    assert "out: holds results of other settings" in said
    assert "kmeans.k: 3 -> 4" in said
    assert "kmeans.seed: 0 -> 9" in said
    assert "--overwrite" in said
    assert stored("out") == before
    assert open_run("out").record.state == "finished"

    assert call("run", yaml, "--set", "kmeans.k=4", "--overwrite")[0] == 0
    assert {image.model.k for image in open_run("out").images.values()} == {4}


def test_results_of_another_version_of_the_algorithm_are_made_again_and_it_is_said(
    yaml, monkeypatch
):
    assert call("run", yaml)[0] == 0
    monkeypatch.setattr("chunkmeans.results.store.versions.ALGORITHM_VERSION", 10**6)
    code, said = call("run", yaml)

    assert code == 0
    assert "segmenting 4 images of the previous run again: 4 because it was computed by" in said
    assert "version 1 of the algorithm, now 1000000" in said


def test_where_and_by_whom_it_is_computed_is_no_setting(yaml):
    assert call("run", yaml)[0] == 0
    code, said = call("run", yaml, "--set", "memory=2GiB", "--set", "cluster.options.threads=2")
    assert code == 0, said


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
@pytest.mark.parametrize(
    "name",
    [
        "images/precious.tif",
        "model.zarr/c/0",
        "fits/mine.json",
        "logs/my.log",
        "catalog.csv",
        "labels.csv",
        "images",
        "logs",
    ],
)
def test_a_folder_that_is_no_output_is_neither_written_into_nor_emptied(yaml, overwrite, name):
    precious = Path("mine") / name
    precious.parent.mkdir(parents=True)
    precious.write_bytes(b"pixels")
    code, said = call("run", yaml, "--set", "results.path=mine", *overwrite)

    assert code == 2
    what = name.partition("/")[0]
    assert f"holds '{what}' but no run.json, so it is no output of chunkmeans" in said
    assert [p for p in Path("mine").rglob("*") if p.is_file()] == [precious]
    assert precious.read_bytes() == b"pixels"


# -- every error by its message -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "kmeans: {kk: 3}",
            r"c\.yaml:4:10: kmeans\.kk: there is no such key; did you mean kmeans\.k\?",
        ),
        ("kmean: {k: 3}", r"c\.yaml:4:1: kmean: there is no such key; did you mean kmeans\?"),
        ("kmeans: {k: 0}", r"c\.yaml:4:10: kmeans\.k: must be at least 1, found 0"),
        ("kmeans: {k: -2}", r"c\.yaml:4:10: kmeans\.k: must be at least 1, found -2"),
        ("kmeans: {k: 65536}", r"c\.yaml:4:10: kmeans\.k: must be at most 65535, found 65536"),
        (
            "kmeans: {k: 3, threshold: -0.5}",
            r"c\.yaml:4:16: kmeans\.threshold: must be at least 0, found -0\.5",
        ),
        ("kmeans: {k: 3}\nfeatures: {scale: [1, 2]}", r"2 weights for 1 channels"),
        ("kmeans: {init: {means: [[1, 2], [3, 4]]}}", r"means have 2 channels, the image has 1"),
    ],
)
def test_a_wrong_config_is_an_error_before_the_start(yaml, text, said):
    Path(yaml).write_text(
        "images: {path: in, axes: yxc}\nresults: {path: out}\ncluster: {kind: serial}\n" + text
    )
    code, found = call("run", yaml)

    assert code == 2
    assert not Path("out").exists()
    assert re.search(said, found), found


def test_a_missing_image_is_an_error_before_the_start(yaml):
    code, said = call("run", yaml, "--set", "images.path=in/z.npy")
    assert code == 2
    assert "in/z.npy" in said
    assert not Path("out").exists()


def test_a_missing_mask_fails_each_image_that_needs_it(yaml):
    code, _ = call("run", yaml, "--set", "images.mask=masks/{stem}.npy")
    assert code == 1
    assert by_state() == {"failed": ["a", "b", "c", "d"]}
    assert re.search(r"masks/a\.npy", open_run("out").catalog[0].reason)


def broken_npy(path):
    path.write_bytes(b"no picture at all")


def broken_tiff(path):
    tifffile.imwrite(path, picture("uint8", 3, (64, 64)), tile=(16, 16), compression="zlib")
    path.write_bytes(path.read_bytes()[:2000])


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("bad.npy", broken_npy),
        ("bad.tif", broken_tiff),
        ("bad.png", broken_npy),
        ("bad.jpg", empty),
        ("bad.npy", empty),
    ],
)
def test_an_unreadable_image_fails_by_name_and_the_others_are_done(yaml, name, make):
    make(Path("in") / name)
    code, said = call("run", yaml, "--set", "images.axes=null")

    assert code == 1
    (row,) = [row for row in open_run("out").catalog if row.state == "failed"]
    assert name in row.reason
    assert row.reason.count(name) == 1
    assert name in said
    assert complete() == ["a", "b", "c", "d"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_forbidden_image_fails_by_name(yaml):
    os.chmod("in/b.npy", 0)
    code, _ = call("run", yaml)

    assert code == 1
    assert by_state()["failed"] == ["b"]
    (row,) = [row for row in open_run("out").catalog if row.state == "failed"]
    assert re.search(r"b\.npy.*Permission denied", row.reason)


def test_a_channel_out_of_range_is_an_error_that_says_which_there_are(yaml):
    code, _ = call("run", yaml, "--set", "images.channels=[1]")
    assert code == 1
    assert "channel 1 is out of range, the image has 0 to 0" in open_run("out").catalog[0].reason


def test_a_mask_of_another_shape_is_an_error_with_both_shapes(yaml):
    np.save("mask.npy", np.ones((20, 23), np.uint8))
    code, _ = call("run", yaml, "--set", "images.mask=mask.npy")
    assert code == 1
    reason = open_run("out").catalog[0].reason
    assert re.search(
        r"a\.npy: the image is \(20, 24\) pixels, its mask .*mask\.npy is \(20, 23\)", reason
    )


def test_too_little_memory_is_refused_with_both_numbers(yaml):
    code, said = call("run", yaml, "--set", "memory=16MiB")
    assert code == 2
    assert re.search(r"memory: a worker needs \d+ MiB.* has 16 MiB; raise `memory`", said)
    assert not Path("out").exists()


def test_where_nothing_can_be_written_the_command_says_so(yaml):
    Path("out").write_text("a file")
    code, said = call("run", yaml)
    assert code == 2
    assert "out" in said


def test_an_image_without_a_valid_pixel_is_skipped_and_no_failure(yaml):
    np.save("in/b.npy", np.zeros((5, 5, 1), np.uint8))
    code, _ = call("run", yaml, "--set", "images.nodata=0")

    assert code == 0
    assert by_state()["skipped"] == ["b"]
    assert "b" not in complete()


def test_errors_name_what_they_are_about():
    with pytest.raises(SourceError, match=r"no/such/image\.tif"):
        segment("no/such/image.tif", 3)
