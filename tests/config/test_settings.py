"""Which keys decide a result, and what older results say that lack one."""

from typing import Annotated

import pytest
from chunkmeans.config import Config, make_config
from chunkmeans.config.models import KMeans
from chunkmeans.config.settings import NO_SETTING, Added, keys_added_later, settings_in
from chunkmeans.results.read import record
from chunkmeans.results.read.record import differences, settings_fingerprint

FIRST_FORMAT = {
    "images": ["series", "region", "channels", "axes", "level", "nodata", "mask"],
    "features": ["scale"],
    "kmeans": [
        "k", "scope", "init", "restarts", "threshold", "max_iterations", "empty", "seed",
    ],
    "results": ["chunk", "shard", "pyramid", "mean_image"],
}  # fmt: skip
"""The settings that every output names. This list never changes."""


class LaterKMeans(KMeans):
    """The algorithm of a later version, with three more keys."""

    choose: Annotated[str, Added("none")] = "silhouette"
    """A setting; what was done before there was the key is not its default."""
    colours: Annotated[str, NO_SETTING] = "viridis"
    """How labels are shown."""


class LaterConfig(Config):
    """The config of a later version."""

    kmeans: LaterKMeans


@pytest.fixture
def later(monkeypatch):
    """Compare settings as a later version does; makes settings of it."""
    monkeypatch.setattr(record, "Config", LaterConfig)

    def later(**kmeans):
        return settings_in(LaterConfig, {**made(), "kmeans": {**made()["kmeans"], **kmeans}})

    return later


def made(**kmeans):
    config = make_config(
        images={"path": "a.tif"}, kmeans={"k": 4, **kmeans}, results={"path": "out"}
    )
    return config.settings()


def test_a_setting_that_came_after_the_first_format_says_what_was_done_before_it():
    dotted = {f"{section}.{key}" for section, keys in FIRST_FORMAT.items() for key in keys}
    now = {f"{section}.{key}" for section, keys in made().items() for key in keys}
    assert now - keys_added_later(Config).keys() == dotted


def test_a_key_that_an_output_does_not_name_counts_as_what_was_done_then(later):
    old = made()
    assert "choose" not in old["kmeans"]
    assert differences(old, later(choose="none")) == []
    assert differences(old, later()) == []
    assert differences(old, later(choose="gap")) == ['kmeans.choose: "none" -> "gap"']
    assert differences(later(choose="gap"), later(choose="gap")) == []


def test_the_fingerprint_of_settings_is_that_of_before_there_was_the_key(later):
    old = settings_fingerprint(made())
    assert settings_fingerprint(later(choose="none")) == old
    assert settings_fingerprint(later(choose="gap")) != old


def test_a_key_that_decides_nothing_is_no_difference_whoever_named_it(later):
    assert "colours" not in later(choose="none", colours="magma")["kmeans"]
    old = {**made(), "results": {**made()["results"], "samples": False}, "memory": 7}
    assert differences(old, made()) == []


@pytest.mark.parametrize(("section", "key"), [("kmeans", "restarts"), ("results", "pyramid")])
def test_a_key_of_the_first_format_that_is_lost_counts_as_its_default(section, key):
    old = made()
    del old[section][key]
    assert differences(old, made()) == []
    del old[section]
    if section == "results":
        assert differences(old, made()) == []


def test_a_key_that_is_not_known_decided_something():
    old = {**made(), "kmeans": {**made()["kmeans"], "fuzzy": 2.0}}
    assert differences(old, made()) == ["kmeans.fuzzy: 2.0 -> (none)"]


def test_each_difference_has_both_values():
    assert differences(made(), made(k=8, seed=3)) == ["kmeans.k: 4 -> 8", "kmeans.seed: 0 -> 3"]
