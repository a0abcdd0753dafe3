"""New images labelled by means that were found before."""

import re

import numpy as np
import pytest
from chunkmeans import ConfigError, ResultError, apply, open_run, run
from chunkmeans.sources.formats.npy import NpyImage
from chunkmeans.steps.segment.shared.apply import fit_of, saved_model

from tests.steps.examples import config, save_images
from tests.support.judge import same_model
from tests.support.oracle import nearest
from tests.test_exactness import picture


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Results of each scope, and the path of two new images, in the current folder."""
    monkeypatch.chdir(tmp_path)
    save_images(tmp_path, 3)
    (tmp_path / "new").mkdir()
    for name in "xy":
        np.save(f"new/{name}.npy", picture("uint8", 1, (11, 9), seed=ord(name)))

    def made(scope="collection", **sections):
        asked = config(tmp_path, kmeans={"scope": scope, **sections.pop("kmeans", {})}, **sections)
        run(asked)
        return str(asked.results.path)

    return made


def label(model, images="new", output="applied", **options):
    return apply(model, images, output, cluster="serial", **options)


@pytest.mark.parametrize("scale", ["none", "standard"])
def test_every_pixel_gets_the_label_of_the_nearest_mean_of_the_model(made, scale):
    saved = open_run(made(features={"scale": scale})).model
    assert label("out").counts == {"done": 2}

    found = open_run("applied")
    for name in "xy":
        image = found.images[name]
        pixels = np.load(f"new/{name}.npy").reshape(-1, 1)
        rows = saved.order[nearest(pixels, saved.means[saved.order], saved.weights)]
        np.testing.assert_array_equal(image.labels()[...].ravel(), rows + 1)
        np.testing.assert_array_equal(image.model.means, saved.means)
        np.testing.assert_array_equal(image.model.counts, np.bincount(rows, minlength=saved.k))
        assert image.attributes["applied"]["model"] == "out"


def test_labels_of_the_models_own_images_are_those_that_it_wrote(made):
    out = made()
    label(out, "in")
    for name, image in open_run(out).images.items():
        again = open_run("applied").images[name]
        np.testing.assert_array_equal(again.labels()[...], image.labels()[...])
        same_model(again.model, image.model)


def test_catalogue_and_table_of_labels_are_as_of_a_run(made):
    label(made())
    rows = {row.id: row for row in open_run("applied").catalog}
    pixels = np.load("new/x.npy").ravel()
    labels = open_run("applied").images["x"].labels()[...].ravel()
    for i, (fraction, means) in enumerate(
        zip(rows["x"].fractions, rows["x"].means, strict=True), 1
    ):
        assert fraction == (labels == i).mean()
        if fraction:
            assert means == (pixels[labels == i].astype(int).sum() / (labels == i).sum(),)


def test_an_image_of_its_own_and_a_config_name_models_too(made):
    made("image")
    saved = open_run("out").images["image1"].model
    label("out/images/image1.ome.zarr")
    np.testing.assert_array_equal(open_run("applied").images["x"].model.means, saved.means)


def test_of_groups_one_is_named(made, tmp_path):
    (tmp_path / "m.csv").write_text("path,group\nin/image0.npy,a\nin/image1.npy,b\n")
    out = made("group", images={"path": str(tmp_path / "m.csv")})
    with pytest.raises(ConfigError, match="several models; give --group, one of 'a', 'b'"):
        label(out)
    with pytest.raises(ConfigError, match="no model of group 'c'"):
        label(out, group="c")
    label(out, group="b")
    means = open_run("applied").images["x"].model.means
    np.testing.assert_array_equal(means, open_run(out).models["b"].means)


def test_results_without_a_common_model_say_what_to_name(made):
    with pytest.raises(ConfigError, match=r"name an image's store, such as .*image0\.ome\.zarr"):
        label(made("image"))
    with pytest.raises(ResultError, match="does not exist"):
        label("nowhere")


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (picture("uint8", 3, (9, 9)), r"has 3 channels, the model \S+out is of 1;"),
        (picture("float32", 1, (9, 9)), r"holds float32 \(floats\), the model \S+out is of uint8"),
        (
            picture("int16", 1, (9, 9)),
            r"int16 \(signed integers\), the model \S+out is of uint8 \(unsi",
        ),
    ],
)
def test_an_image_of_other_pixels_fails_with_both_told_and_the_others_are_done(made, array, said):
    out = made()
    np.save("new/z.npy", array)
    assert label(out).counts == {"done": 2, "failed": 1}
    (row,) = [row for row in open_run("applied").catalog if row.state == "failed"]
    assert row.id == "z"
    assert re.search(said, row.reason)


def test_the_same_command_resumes_and_another_model_is_refused(made, monkeypatch):
    out = made()
    label(out)
    read = []
    decode = NpyImage.decode
    monkeypatch.setattr(NpyImage, "decode", lambda self, *a: read.append(1) or decode(self, *a))
    label(out)
    assert read == []
    other = config(".", images={"path": "new"}, kmeans={"scope": "collection", "seed": 3})
    run(other, overwrite=True)
    with pytest.raises(ResultError, match="applied"):
        label(out)
    label(out, overwrite=True)


def test_pixels_are_taken_as_the_models_run_took_them_but_whole(made, tmp_path):
    np.save("in/image0.npy", np.zeros((12, 10), np.uint8))
    out = made(images={"nodata": 0, "region": ["0:5", "0:5"]})
    np.save("new/x.npy", np.arange(99, dtype=np.uint8).reshape(11, 9, 1))
    label(out)
    labels = open_run("applied").images["x"].labels()[...]
    assert labels.shape == (11, 9)
    assert (labels == 0).sum() == 1


def test_a_fit_made_of_a_model_is_the_model_again(made):
    made(kmeans={"k": 3, "restarts": 2, "init": "random", "max_iterations": 2})
    model = open_run("out").model
    fit = fit_of(model)
    np.testing.assert_array_equal(fit.colours, model.means)
    assert saved_model("out").channels == 1
    assert len(fit.iterations) == 2
