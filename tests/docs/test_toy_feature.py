"""The example of ``docs/extending/feature.md`` keeps to what is asked, and segments an image."""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from chunkmeans import ConfigError, apply, make_config, open_run, run, segment
from chunkmeans.results.read.record import differences, settings_fingerprint
from chunkmeans.steps import tuning
from chunkmeans.testing import FeatureTests

from tests.support.ways import tuned
from tests.test_exactness import picture

EXAMPLES = Path(__file__).parents[2] / "docs" / "extending" / "examples"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install the example, as a package that has it as an entry point is."""
    info = tmp_path / "site" / "toy_feature-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: toy-feature\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[chunkmeans.features]\nsurroundings = toy_feature:Surroundings\n"
    )
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.syspath_prepend(str(info.parent))
    yield import_module("toy_feature").Surroundings
    sys.modules.pop("toy_feature")


class TestSurroundings(FeatureTests):
    @pytest.fixture
    def feature(self, installed):
        return installed(radius=2)


def asked(folder, out, **sections):
    return make_config(
        images={"path": str(folder / "image.npy"), "axes": "yxc", "nodata": 7},
        features={"use": ["surroundings"], "scale": "range"},
        kmeans={"k": 4, **sections},
        results={"path": str(folder / out), "chunk": 4, "shard": 8, "mean_image": True},
        cluster={"kind": "serial"},
    )


def test_a_run_with_it_is_the_k_means_of_its_samples_however_it_is_cut(
    tmp_path, monkeypatch, installed
):
    image = picture("uint8", 2, (21, 18), levels=40)
    image[3:6, 4:9] = 7
    np.save(tmp_path / "image.npy", image)
    valid = ~(image == 7).all(axis=-1)
    features = installed().transform(image, valid)
    expected = segment(features, 4, axes="yxc", scale="range", mask=valid)

    found = []
    for out, numbers in (
        ("whole", {}),
        ("cut", {"small_pixels": 0, "small_and_few_pixels": 0, "chunk_pixels": 1,
                 "bundle_pixels": 1, "piece_pixels": 10}),
    ):  # fmt: skip
        with monkeypatch.context() as patch:
            tuned(patch, **numbers)
            record = run(asked(tmp_path, out))
        assert record.counts == {"done": 1}
        found.append(open_run(str(tmp_path / out)).images["image"])
    for one in found:
        np.testing.assert_array_equal(one.labels()[...], expected.labels)
        np.testing.assert_array_equal(one.model.means, expected.model.means)
        np.testing.assert_array_equal(one.model.weights, expected.model.weights)
        assert one.model.means.shape == (4, 4)
    assert tuning.Tuning() == tuning.DEFAULT


def test_a_model_of_features_labels_new_images_by_the_same_features(tmp_path, installed):
    np.save(tmp_path / "image.npy", picture("uint8", 1, (12, 14)))
    run(asked(tmp_path, "out", scope="collection"))
    record = apply(
        str(tmp_path / "out"), str(tmp_path / "image.npy"), str(tmp_path / "new"), cluster="serial"
    )
    assert record.counts == {"done": 1}
    old, new = (open_run(str(tmp_path / name)).images["image"] for name in ("out", "new"))
    np.testing.assert_array_equal(new.labels()[...], old.labels()[...])


def test_a_feature_that_is_not_there_is_refused_by_name(tmp_path, installed):
    np.save(tmp_path / "image.npy", picture("uint8", 1, (12, 14)))
    config = make_config(
        images={"path": str(tmp_path / "image.npy")},
        kmeans={"k": 2},
        results={"path": str(tmp_path / "out")},
        features={"use": ["sobel"]},
    )
    with pytest.raises(ConfigError, match=r"no feature 'sobel'; known are surroundings"):
        run(config)
    with pytest.raises(ConfigError, match=r"'scale' has a key of its own, features\.scale"):
        run(config.model_copy(update={"features": config.features.model_copy(
            update={"use": ("scale",)})}))  # fmt: skip


def test_results_from_before_there_were_features_are_those_of_a_run_without():
    config = make_config(images={"path": "a"}, kmeans={"k": 2}, results={"path": "b"})
    settings = config.settings()
    before = {**settings, "features": {"scale": "none"}}
    assert settings_fingerprint(before) == settings_fingerprint(settings)
    assert not differences(before, settings)
