"""The presets of clusters: one per kind, each explained, each a valid section without secrets."""

import re
from pathlib import Path

import pytest
from chunkmeans.config import load_config
from chunkmeans.engines.registry import CLUSTERS, ENGINES

ROOT = Path(__file__).parents[2]
PRESETS = sorted((ROOT / "configs/clusters").glob("*.yaml"))


def test_there_is_one_for_every_kind():
    assert {path.stem for path in PRESETS} == {*ENGINES, *CLUSTERS}


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_it_is_a_valid_section_that_explains_every_key(path):
    config = load_config(ROOT / "configs/quickstart.yaml", cluster=str(path))
    assert config.cluster.kind == path.stem
    lines = path.read_text().splitlines()
    keys = [line for line in lines if re.match(r" +\w+: \S", line)]
    assert all(" # " in line for line in keys), [line for line in keys if " # " not in line]
    assert lines[0].startswith("# ")
    assert any(f"--cluster {path.stem}" in line for line in lines if line.startswith("#"))


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_it_has_no_secret(path):
    assert not re.search(r"(?i)passw|secret:|token:|-----begin", path.read_text())


@pytest.mark.parametrize("name", ["local", "threads", "serial"])
def test_those_of_this_machine_say_what_holds_without_them(name):
    assert set(load_config(ROOT / "configs/quickstart.yaml", cluster=name).cluster.options) == set()
