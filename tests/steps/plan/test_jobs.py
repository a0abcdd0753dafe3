"""From a config to jobs."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from chunkmeans import ConfigError, make_config, open_run, run
from chunkmeans.features.base import FeatureChain
from chunkmeans.features.scale import ChannelScale
from chunkmeans.sources.base import ReadOptions
from chunkmeans.steps.plan.jobs import jobs_of, nodata_of, read_options

from tests.steps.examples import config, jobs, save_images


def test_a_job_per_image_in_the_order_of_their_names(tmp_path):
    found = jobs(tmp_path)
    assert [job.id for job in found] == ["image0", "image1", "image2", "image3"]
    assert [Path(job.path).name for job in found] == [f"image{i}.npy" for i in range(4)]


def test_a_column_with_the_name_of_one_of_ours_keeps_its_values_under_another_head(tmp_path):
    save_images(tmp_path, 1)
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("path,state,means,site\nin/image0.npy,Bavaria,of transport,north\n")
    asked = make_config(images={"path": str(sheet)}, kmeans={"k": 2}, results={"path": "out"})
    (job,) = jobs_of(asked)
    named = {"manifest_state": "Bavaria", "manifest_means": "of transport", "site": "north"}
    assert job.manifest == named
    sheet.write_text("path,state,manifest_state\nin/image0.npy,Bavaria,Hesse\n")
    with pytest.raises(ConfigError, match="columns 'state' and 'manifest_state', which would be"):
        jobs_of(asked)


def test_a_job_pickles_to_itself(tmp_path):
    (job,) = jobs(tmp_path, 1)
    again = pickle.loads(pickle.dumps(job))
    assert repr(again) == job.path
    assert again.open().info == job.open().info


def test_every_key_of_the_config_arrives(tmp_path):
    save_images(tmp_path, 1)
    asked = make_config(
        images={
            "path": str(tmp_path / "in"), "series": 1, "level": 2, "axes": "yxc", "channels": [0],
            "region": ["1:5", "0:7"], "nodata": [3], "mask": "masks/{stem}.png",
        },
        features={"scale": [2.0]},
        kmeans={
            "k": 9, "init": "kmeans++", "restarts": 4, "threshold": 0.5, "max_iterations": 77,
            "empty": "keep", "seed": 12,
        },
        results={"path": "out", "chunk": 16, "shard": 64, "pyramid": "nearest", "mean_image": True},
    )  # fmt: skip
    (job,) = jobs_of(asked)

    assert job.options == ReadOptions(
        series=1, level=2, axes="yxc", channels=(0,), region=((1, 5), (0, 7)), storage_options={}
    )
    assert job.nodata == (3,)
    assert job.mask == os.path.abspath("masks/image0.png")
    fit = job.settings
    assert (fit.k, fit.init, fit.restarts, fit.threshold) == (9, "kmeans++", 4, 0.5)
    assert (fit.max_iterations, fit.empty, fit.seed, fit.scale) == (
        77, "keep", 12, FeatureChain((ChannelScale((2.0,)),))
    )  # fmt: skip
    out = job.output.asked
    assert (out.chunk, out.shard, out.pyramid, out.mean_image) == (16, 64, "nearest", True)
    assert job.output.attributes["settings"] == asked.settings()


def test_given_means_are_an_array(tmp_path):
    (job,) = jobs(tmp_path, 1)
    np.testing.assert_array_equal(job.settings.init, [[10.0], [90.0], [200.0]])


def test_one_nodata_is_a_tuple_of_one_and_none_is_what_the_file_says():
    def asked(nodata):
        return make_config(
            images={"path": "in", "nodata": nodata}, kmeans={"k": 2}, results={"path": "out"}
        )

    assert nodata_of(asked(7)) == (7,)
    assert nodata_of(asked([7, 8])) == (7, 8)
    assert nodata_of(asked(None)) is None


def manifest(tmp_path, text, scope):
    save_images(tmp_path, 3)
    (tmp_path / "manifest.csv").write_text(text)
    return make_config(
        images={"path": str(tmp_path / "manifest.csv"), "axes": "yxc", "channels": [0]},
        kmeans={"k": 2, "scope": scope},
        results={"path": str(tmp_path / "out")},
        cluster={"kind": "serial"},
    )


def test_a_manifests_own_columns_win(tmp_path):
    text = "path,channels,who\nin/image0.npy,1;2,ada\nin/image1.npy,,bob\n"
    config = manifest(tmp_path, text, "image")
    first, second = jobs_of(config)

    assert first.options.channels == (1, 2)
    assert second.options.channels == (0,)
    assert read_options(config).channels == (0,)
    assert (first.manifest, second.manifest) == ({"who": "ada"}, {"who": "bob"})


GROUPS = "path,group\nin/image0.npy,red\nin/image1.npy,blue\nin/image2.npy,red\n"


def test_groups_count_only_where_they_are_the_scope(tmp_path):
    config = manifest(tmp_path, GROUPS, "group")
    assert [job.group for job in jobs_of(config)] == ["red", "blue", "red"]


@pytest.mark.parametrize("scope", ["image", "collection"])
def test_groups_do_not_count_where_they_are_not_the_scope(tmp_path, scope):
    config = manifest(tmp_path, GROUPS, scope)
    assert [job.group for job in jobs_of(config)] == [None, None, None]


def test_the_scope_group_needs_a_group_for_every_image(tmp_path):
    text = "path,group\nin/image0.npy,red\nin/image1.npy,\n"
    with pytest.raises(ConfigError, match=r"1 images have none, .*image1\.npy first; .*`group`"):
        jobs_of(manifest(tmp_path, text, "group"))


def test_earlier_results_without_this_image_are_an_error_that_lists_theirs(tmp_path):
    save_images(tmp_path, 2)
    run(config(tmp_path))
    asked = make_config(
        images={"path": str(tmp_path / "in")},
        kmeans={"k": 3, "init": {"from": str(tmp_path / "out")}},
        results={"path": str(tmp_path / "again")},
    )
    first, second = jobs_of(asked)
    assert first.settings.init.shape == second.settings.init.shape == (3, 1)

    (tmp_path / "in" / "image1.npy").rename(tmp_path / "in" / "image2.npy")
    with pytest.raises(ConfigError, match=r"no means for 1 images, 'image2' first; .* 'image0'"):
        jobs_of(asked)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", r"^kmeans.init.from: .*nowhere"),
        ("out", r"^kmeans.init.from: .*out is results.path itself"),
    ],
)
def test_earlier_results_that_cannot_be_a_start_are_refused(tmp_path, path, message):
    save_images(tmp_path, 1)
    with pytest.raises(ConfigError, match=message):
        jobs_of(config(tmp_path, kmeans={"init": {"from": str(tmp_path / path)}}))


def test_columns_called_as_the_catalogues_own_are_carried_by_another_name(tmp_path):
    text = "path,state,k,who\nin/image0.npy,wet,5,ada\nin/image1.npy,,,\n"
    config = manifest(tmp_path, text, "image")
    assert [job.manifest for job in jobs_of(config)] == [
        {"manifest_state": "wet", "manifest_k": "5", "who": "ada"},
        {"manifest_state": "", "manifest_k": "", "who": ""},
    ]
    run(config)
    assert open_run(tmp_path / "out").catalog[0].extra == jobs_of(config)[0].manifest

    text = "path,state,manifest_state\nin/image0.npy,wet,dry\n"
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(ConfigError, match="'state' and 'manifest_state'"):
        jobs_of(config)


def test_limits_arrive_and_are_no_setting_of_the_results(tmp_path):
    save_images(tmp_path, 1)
    limited = config(tmp_path, images={"limits": {"pixels": 7}})
    (job,) = jobs_of(limited)
    assert job.options.limits.pixels == 7
    assert limited.settings() == config(tmp_path).settings()
    assert run(limited).counts == {"failed": 1}
    assert run(config(tmp_path)).counts == {"done": 1}
