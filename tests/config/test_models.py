"""What a config is, what of it is written down, and what decides a result."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from chunkmeans.config import load_config, make_config
from chunkmeans.config.models import GivenMeans
from hypothesis import given
from hypothesis import strategies as st

from tests.config.examples import LEAST, made, message

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
            "fingerprint": "stat",
            "limits": {"piece": 2**31, "pixels": 2**44, "pages": 2**18, "seconds": 600.0},
        },
        "features": {"scale": "none", "use": []},
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
            "samples": True,
        },
        "memory": None,
        "cluster": {
            "kind": "local",
            "options": {},
            "scale": None,
            "adapt": None,
            "wait": {"workers": None, "timeout": 300.0},
            "dask_config": {},
            "security": None,
            "insecure": False,
        },
    }


def test_sections_whose_keys_are_all_commented_out_are_all_defaults(write):
    empty = load_config(write(LEAST + "features:\n  # scale: range\ncluster:\nmemory:\n"))
    assert empty == load_config(write(LEAST))


def test_the_kind_of_fingerprint_is_one_of_two_and_decides_no_result(write):
    exact = made({"fingerprint": "content"})
    assert exact.images.fingerprint == "content"
    assert exact.settings() == made().settings()
    assert "images.fingerprint" in message(made, {"fingerprint": "contents"})
    assert "content" in message(made, {"fingerprint": "contents"})
    assert "images.fingerprint" in message(made, {"fingerprint": True})


def test_limits_may_be_left_out_are_whole_numbers_and_decide_no_result(write):
    text = LEAST.replace("kmeans:", "  limits:\nkmeans:", 1)
    assert load_config(write(text)) == load_config(write(LEAST))
    tight = made({"limits": {"pages": 7}})
    assert tight.images.limits.pages == 7
    assert tight.resolved()["images"]["limits"] == {
        "piece": 2**31,
        "pixels": 2**44,
        "pages": 7,
        "seconds": 600.0,
    }
    assert tight.settings() == made().settings()
    assert "images.limits.page" in message(made, {"limits": {"page": 7}})
    assert "images.limits.pixels" in message(made, {"limits": {"pixels": 0}})
    assert "images.limits.seconds" in message(made, {"limits": {"seconds": 0}})
    assert made({"limits": {"seconds": None}}).images.limits.seconds is None


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


# -- secrets and settings ---------------------------------------------------------------------

CANARY = "hunter2"


def test_secrets_are_in_nothing_that_is_written_or_said(write):
    config = made(
        {
            "path": ["s3://host/a.tif", f"https://host/b.tif?sig={CANARY}"],
            "storage_options": {"key": "me", "secret": CANARY},
            "mask": f"https://host/m.tif?sig={CANARY}&v=1",
        },
        results={"storage_options": {"nested": {"secret": CANARY}}},
        cluster={
            "kind": "ssh",
            "options": {"connect_options": {"password": CANARY}, "hosts": [CANARY]},
            "dask_config": {"gateway.auth.kwargs": {"password": CANARY}},
        },
    )
    assert config.images.storage_options["secret"] == CANARY
    for text in (json.dumps(config.resolved()), json.dumps(config.settings()), repr(config)):
        assert CANARY not in text


@pytest.mark.parametrize("key", ["images.path", "images.mask", "results.path"])
@pytest.mark.parametrize(
    "url", ["s3://me:a/{}@host/x", "https://me:{}@host/x", "https://{}@host/x"]
)
def test_a_url_with_a_password_is_refused_and_not_repeated(write, key, url):
    text = message(load_config, write(LEAST), [f"{key}={url.format(CANARY)}"])
    assert key in text
    assert "storage_options" in text
    assert CANARY not in text


@pytest.mark.parametrize(
    "override",
    [
        f"images.storage_options={CANARY}",
        f"images.storage_options.key=*{CANARY}",
        f"images.storage_options.key=[{CANARY}",
        f"images.storage_options={{1: {CANARY}}}",
        f"cluster.options={CANARY}",
        f"cluster.options.password=[{CANARY}",
        f"cluster.dask_config={CANARY}",
    ],
)
def test_errors_of_what_is_handed_on_do_not_repeat_it(write, override):
    text = message(load_config, write(LEAST), [override])
    assert override.partition("=")[0].rpartition(".")[0] in text
    assert CANARY not in text


def test_settings_are_those_that_decide_a_result():
    base = made().settings()
    same = [
        made({"path": ["b.tif", "c.tif"]}),
        made({"storage_options": {"anon": True}}),
        made(results={"path": "elsewhere"}),
        made(results={"samples": False}),
        made(memory="8GiB"),
        made(cluster="serial"),
        made(cluster={"kind": "slurm", "scale": 3, "insecure": True}),
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
