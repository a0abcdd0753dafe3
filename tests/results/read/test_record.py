import json
from dataclasses import replace

import pytest
from chunkmeans.errors import ResultError
from chunkmeans.results.read.record import (
    RunRecord,
    differences,
    read_record,
    settings_fingerprint,
    write_record,
)
from chunkmeans.results.store.store import Store
from chunkmeans.results.store.versions import ALGORITHM_VERSION

SETTINGS = {"kmeans": {"k": 4, "seed": 0, "init": "random"}, "features": {"scale": "none"}}
RECORD = RunRecord(
    config={"images": {"path": ["a"]}, **SETTINGS},
    settings=SETTINGS,
    fingerprint=settings_fingerprint(SETTINGS),
    state="finished",
    counts={"done": 3, "failed": 1},
    pixels=10**12,
    nbytes=3 * 10**12,
    seconds=0.1 + 0.2,
    memory_planned=2**30,
    memory_peak=2**29,
    inertia=1 / 3,
    iterations=17,
    residual=0.0,
)


@pytest.mark.parametrize(
    "record",
    [
        RECORD,
        replace(RECORD, state="running", inertia=None, iterations=None, residual=None),
        replace(RECORD, inertia=float("inf"), memory_planned=None, memory_peak=None),
    ],
)
def test_a_record_is_read_as_it_was_written(any_store, record):
    write_record(any_store, record)
    assert read_record(any_store) == record


def test_a_record_is_json_with_the_names_that_others_rely_on(any_store):
    write_record(any_store, RECORD)
    found = json.loads(any_store.read_text("run.json"))
    assert found["state"] == "finished"
    assert (found["inertia"], found["iterations"], found["residual"]) == (1 / 3, 17, 0.0)
    assert found["totals"] == {
        "pixels": 10**12,
        "bytes": 3 * 10**12,
        "seconds": 0.30000000000000004,
    }
    assert (found["format"], found["format_minor"]) == (1, 1)
    assert set(found["versions"]) == {
        "python", "algorithm", "chunkmeans", "numpy", "numba", "zarr",
    }  # fmt: skip


def test_storage_options_are_not_written_whoever_hands_them_in():
    secret = {"key": "canary", "nested": [1]}
    config = {"images": {"path": "s3://x", "storage_options": secret}, "storage_options": secret}
    text = replace(RECORD, config=config).to_json()
    assert "canary" not in text
    assert "s3://x" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"is damaged: .*; restore it, or choose another results\.path"),
        ("[]", "is no record"),
        ('{"format": 1}', "is no record"),
        ('{"format": 2}', r"newer chunkmeans \(format 2, this one reads up to 1\); upgrade"),
    ],
)
def test_a_record_that_cannot_be_read_is_an_error_that_names_it(tmp_path, text, message):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ResultError, match=message) as caught:
        read_record(Store(str(tmp_path)))
    assert str(tmp_path / "run.json") in str(caught.value)


def test_equal_settings_have_equal_fingerprints_in_any_order():
    turned = {"features": {"scale": "none"}, "kmeans": dict(reversed(SETTINGS["kmeans"].items()))}
    assert settings_fingerprint(turned) == settings_fingerprint(SETTINGS)
    assert differences(SETTINGS, turned) == []


def test_other_settings_or_another_algorithm_have_other_fingerprints(monkeypatch):
    other = {**SETTINGS, "features": {"scale": "range"}}
    assert settings_fingerprint(other) != settings_fingerprint(SETTINGS)
    before = settings_fingerprint(SETTINGS)
    monkeypatch.setattr(
        "chunkmeans.results.store.versions.ALGORITHM_VERSION", ALGORITHM_VERSION + 1
    )
    assert settings_fingerprint(SETTINGS) != before


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ({"kmeans": {"k": 4}}, {"kmeans": {"k": 8}}, ["kmeans.k: 4 -> 8"]),
        (
            {"a": {"b": None, "c": [1, 2]}, "d": "x"},
            {"a": {"b": 255, "c": [1, 3]}, "d": "x"},
            ["a.b: null -> 255", "a.c: [1, 2] -> [1, 3]"],
        ),
        ({"a": 1}, {}, ["a: 1 -> (none)"]),
        ({}, {"a": "x"}, ['a: (none) -> "x"']),
        (
            {"init": "random"},
            {"init": {"from": "old"}},
            ['init: "random" -> (none)', 'init.from: (none) -> "old"'],
        ),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
        ({"a": (1, 2)}, {"a": [1, 2]}, []),
        ({"a": float("nan")}, {"a": float("nan")}, []),
    ],
)
def test_a_clash_names_each_setting_with_both_values(old, new, lines):
    assert differences(old, new) == lines
