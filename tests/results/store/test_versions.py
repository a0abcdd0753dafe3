"""What is done with results of another version."""

import json
from pathlib import Path

import pytest
from chunkmeans import ResultError, open_run, run
from chunkmeans.results.models.models import read_model
from chunkmeans.results.store.store import Store
from chunkmeans.results.store.versions import FORMAT, refuse_newer

from tests.steps.examples import config, save_images


@pytest.mark.parametrize("found", [1, FORMAT])
def test_every_format_up_to_ours_is_read(found):
    refuse_newer(found, "out/run.json")


@pytest.mark.parametrize("found", ["1", None, [1], 1.5])
def test_what_is_no_version_is_damage(found):
    with pytest.raises(ResultError, match=r"out/run.json: is damaged: .* is no version"):
        refuse_newer(found, "out/run.json")


def edit(path, change):
    """Change a JSON file of an output."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.fixture
def pooled(tmp_path):
    save_images(tmp_path, 2)
    asked = config(tmp_path, kmeans={"scope": "collection"})
    run(asked)
    return asked


def test_a_newer_minor_format_is_read_and_its_keys_are_passed_over(pooled):
    out = Path(pooled.results.path)
    edit(out / "run.json", lambda run: run.update(format_minor=99, chosen={"k": 3}))
    image = out / "images/image0.ome.zarr/zarr.json"
    edit(image, lambda group: group["attributes"]["chunkmeans"].update(colours=["red"]))
    found = open_run(str(out))
    assert found.record.format_minor == 99
    assert found.images["image0"].labels()[:].any()
    assert run(pooled).counts == {"done": 2}


def test_an_output_of_before_minor_formats_is_read(pooled):
    edit(Path(pooled.results.path) / "run.json", lambda run: run.pop("format_minor"))
    assert open_run(pooled.results.path).record.format_minor == 0


def test_a_newer_format_is_refused_in_words_by_each_reader(pooled):
    out = Path(pooled.results.path)
    words = r"newer chunkmeans \(format 2, this one reads up to 1\); upgrade chunkmeans"

    def newer(group):
        group["attributes"]["chunkmeans"]["format"] = FORMAT + 1

    edit(out / "images/image0.ome.zarr/zarr.json", newer)
    with pytest.raises(ResultError, match=words):
        _ = open_run(str(out)).images["image0"]
    edit(out / "model.zarr/collection/zarr.json", newer)
    with pytest.raises(ResultError, match=words):
        read_model(Store(str(out)))
    edit(out / "run.json", lambda run: run.update(format=FORMAT + 1))
    with pytest.raises(ResultError, match=words):
        open_run(str(out))
    with pytest.raises(ResultError, match=words):
        run(pooled)
    with pytest.raises(ResultError, match=words):
        run(pooled, overwrite=True)
