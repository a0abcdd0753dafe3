"""The schema, the shipped configs, and what reading one costs."""

import subprocess
import sys
from pathlib import Path

import pytest
from chunkmeans.config import Config, config_schema, load_config


def test_the_schema_knows_every_key_and_says_what_it_is():
    schema = config_schema()
    assert schema["required"] == ["images", "kmeans", "results"]
    assert set(schema["properties"]) == set(Config.model_fields)
    for name in ("Images", "Limits", "Features", "KMeans", "Results", "Cluster"):
        section = schema["$defs"][name]
        assert section["description"]
        assert section["additionalProperties"] is False
        assert all(key["description"] for key in section["properties"].values())


def shipped():
    return sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


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
        "import sys, chunkmeans.config; "
        "heavy = {'numpy', 'dask', 'zarr', 'numba', 'tifffile', 'skimage'}; "
        "print(*heavy & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.stdout.strip(), found.stderr) == ("", "")
