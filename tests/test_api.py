"""The Python interface: what is public, what it takes, what it refuses."""

import doctest
import subprocess
import sys

import chunkmeans
import chunkmeans.api
import dask.array as da
import numpy as np
import pytest
from chunkmeans import (
    ChunkError,
    ChunkmeansError,
    ConfigError,
    ResultError,
    SourceError,
    make_config,
    open_run,
    run,
    segment,
)
from chunkmeans.events import ImageFinished, Iterated, PhaseStarted, RunFinished, RunStarted
from chunkmeans.sources.formats.npy import NpyImage

from tests.support.judge import assert_equal_to_oracle, same_model
from tests.support.ways import Way
from tests.test_exactness import picture, some_means

MEANS = [[10.0, 20.0, 30.0], [90.0, 100.0, 80.0], [200.0, 180.0, 220.0]]


# -- names ----------------------------------------------------------------------------------------


def test_every_public_name_is_there_and_listed():
    assert sorted(chunkmeans.__all__) == list(chunkmeans.__all__)
    assert set(chunkmeans.__all__) <= set(dir(chunkmeans))
    for name in chunkmeans.__all__:
        assert getattr(chunkmeans, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"chunkmeans.*nothing"):
        chunkmeans.nothing  # noqa: B018


def test_every_error_is_of_the_one_tree():
    errors = [getattr(chunkmeans, name) for name in chunkmeans.__all__ if name.endswith("Error")]
    assert len(errors) == 6
    assert all(issubclass(error, ChunkmeansError) for error in errors)


@pytest.mark.parametrize("module", [chunkmeans, chunkmeans.api])
def test_examples_in_docstrings_are_true(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


def test_importing_the_package_loads_nothing_heavy():
    heavy = ("numba", "zarr", "distributed", "dask", "tifffile")
    code = f"import sys, chunkmeans; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


# -- what segment takes ---------------------------------------------------------------------------


@pytest.fixture
def image():
    return picture("uint8", 3, (26, 34), levels=50)


def as_array(image, folder):
    return image


def as_list(image, folder):
    return image.tolist()


def as_path(image, folder):
    np.save(folder / "image.npy", image)
    return folder / "image.npy"


def as_text(image, folder):
    return str(as_path(image, folder))


def as_dask(image, folder):
    return da.from_array(image, chunks=(7, 10, 3))


def as_masked(image, folder):
    return np.ma.MaskedArray(image, mask=np.zeros(image.shape, bool))


def as_fortran(image, folder):
    return np.asfortranarray(image)


@pytest.mark.parametrize(
    "given", [as_array, as_list, as_path, as_text, as_dask, as_masked, as_fortran]
)
def test_an_image_may_be_given_in_many_ways(image, tmp_path, given):
    result = segment(given(image, tmp_path), axes="yxc", init=MEANS)

    expected, model = image, result.model
    if given is as_list:
        expected = image.astype(np.int64)
    assert_equal_to_oracle(result.labels, model, expected, MEANS)
    assert result.axes == "yx"


def test_channels_first_gives_the_labels_of_channels_last(image):
    last, first = segment(image, 3), segment(np.moveaxis(image, -1, 0), 3, axes="cyx")
    np.testing.assert_array_equal(first.labels, last.labels)
    same_model(first.model, last.model)


def test_a_masked_pixel_has_no_label(image):
    hidden = np.zeros(image.shape, bool)
    hidden[3:9, 4, 1] = True
    hidden[0, :5] = True
    result = segment(np.ma.MaskedArray(image, mask=hidden), axes="yxc", init=MEANS)

    alpha = ~hidden.any(axis=-1)
    assert_equal_to_oracle(result.labels[alpha], result.model, image[alpha], MEANS)
    assert (result.labels[~alpha] == 0).all()


@pytest.mark.parametrize("given", [as_array, as_path, as_dask])
def test_a_mask_may_be_an_array_or_a_path(image, tmp_path, given):
    mask = np.zeros((26, 34), np.uint8)
    mask[5:20, 3:30] = 7
    result = segment(
        image,
        axes="yxc",
        init=MEANS,
        mask=given(mask, tmp_path) if given is not as_dask else da.from_array(mask),
    )

    assert_equal_to_oracle(result.labels[mask > 0], result.model, image[mask > 0], MEANS)
    assert (result.labels[mask == 0] == 0).all()


def test_nodata_region_and_channels_are_those_of_a_config(image):
    means = [[10.0, 30.0], [200.0, 180.0]]
    result = segment(
        image, axes="yxc", init=means, region=["2:22", "10:30"], channels=[2, 0], nodata=[3, 10]
    )

    part = image[2:22, 10:30][..., [2, 0]]
    assert_equal_to_oracle(result.labels, result.model, part, means, nodata=[3, 10])


def test_an_image_of_many_chunks_gives_what_one_chunk_gives():
    volume = picture("float32", 2, (40, 300, 40), levels=200)
    means = some_means(volume, 4)
    whole = segment(volume, axes="zyxc", init=means, max_iterations=5)
    with Way(chunk=1, piece=5000, table_bits=0, vectors=8).taken():
        cut = segment(volume, axes="zyxc", init=means, max_iterations=5)

    np.testing.assert_array_equal(cut.labels, whole.labels)
    same_model(cut.model, whole.model)


def test_a_dask_array_is_computed_box_by_box_and_never_whole():
    sizes = []

    def block(a):
        sizes.append(a.size)
        return a

    pixels = picture("float32", 1, (128, 32))[..., 0]
    lazy = da.from_array(pixels, chunks=(32, 32)).map_blocks(
        block, dtype=pixels.dtype, meta=pixels[:0]
    )
    most = []
    compute = da.Array.compute

    def computed(self, **how):
        most.append(self.size)
        return compute(self, **how)

    with pytest.MonkeyPatch.context() as patch, Way(piece=32 * 32, libraries=0).taken():
        patch.setattr(da.Array, "compute", computed)
        result = segment(lazy, axes="yx", init=[[0.0], [500.0]], max_iterations=3)

    assert max(most) == 32 * 32
    assert sum(most) >= pixels.size
    assert max(sizes) <= 32 * 32
    assert_equal_to_oracle(
        result.labels, result.model, pixels[..., None], [[0.0], [500.0]], max_iterations=3
    )


def test_the_number_of_labels_comes_from_given_means(image):
    assert segment(image, init=MEANS).model.k == 3
    assert segment(image, init=np.array(MEANS)).model.k == 3
    with pytest.raises(ConfigError, match=r"gives 3 means where kmeans\.k is 4"):
        segment(image, 4, init=MEANS)


def test_a_mean_image_has_each_pixel_replaced_by_the_mean_of_its_label():
    image = np.array([[1, 1, 9], [1, 0, 9]], np.uint8)
    result = segment(image, 2, nodata=0)

    assert result.labels.tolist() == [[1, 1, 2], [1, 0, 2]]
    assert result.means.tolist() == [[1.0], [9.0]]
    np.testing.assert_array_equal(result.mean_image[..., 0], [[1.0, 1.0, 9.0], [1.0, np.nan, 9.0]])


def test_an_image_of_one_colour_gets_one_label():
    result = segment(np.full((5, 6), 7, np.uint16), 4)
    assert (result.labels == 1).all()
    assert result.means.tolist() == [[7.0]]
    assert result.model.residuals.tolist() == [0.0]


def test_who_watches_is_told_of_phases_and_iterations(image):
    seen = []
    result = segment(image, 4, watch=seen.append)

    phases = [event.phase for event in seen if isinstance(event, PhaseStarted)]
    assert phases == ["read", "label"]
    told = [event.residual for event in seen if isinstance(event, Iterated)]
    assert told == result.model.residuals.tolist()


# -- what segment refuses -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"k": 0}, ConfigError, r"kmeans\.k"),
        ({"k": 70000}, ConfigError, r"kmeans\.k.*65535"),
        ({"k": 3, "threshold": -1.0}, ConfigError, r"kmeans\.threshold"),
        ({"k": 3, "thresold": 1.0}, ConfigError, r"kmeans\.thresold.*threshold"),
        ({"k": 3, "scale": "sqrt"}, ConfigError, r"features\.scale"),
        ({"k": 3, "scale": [1.0, 2.0]}, ConfigError, r"2 weights for 3 channels"),
        ({}, ConfigError, r"kmeans\.k"),
        ({"k": 3, "init": "forgy"}, ConfigError, r"kmeans\.init.*'?forgy"),
        ({"k": 2, "init": [[1.0], [2.0]]}, ConfigError, r"means have 1 channels, the image has 3"),
        ({"k": 3, "axes": "yx"}, SourceError, r"axes"),
        ({"k": 3, "channels": [3]}, SourceError, r"channel 3 is out of range.* 0 to 2"),
        ({"k": 3, "region": ["0:99", "0:9"]}, SourceError, r"region 0:99 along y does not fit"),
        ({"k": 3, "nodata": [1, 2]}, SourceError, r"nodata lists 2 numbers, the image has 3"),
        ({"k": 3, "mask": np.ones((3, 3))}, SourceError, r"\(26, 34\) pixels, its mask .*\(3, 3\)"),
        ({"k": 3, "mask": np.zeros((26, 34))}, ChunkError, r"no valid pixel"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(image, arguments, error, said):
    with pytest.raises(error, match=said):
        segment(image, **arguments)


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4), complex), np.array([["a"]]), np.zeros(5), np.zeros((0, 4), np.uint8)],
    ids=["complex", "texts", "one axis", "no pixel"],
)
def test_what_is_no_image_is_refused(array):
    with pytest.raises(ChunkmeansError):
        segment(array, 2)


def test_numbers_too_large_to_be_squared_are_refused():
    with pytest.raises(ChunkError, match=r"1e\+200.*set images\.nodata"):
        segment(np.array([[1.0, 1e200]]), 2)


# -- run, plan, open_run --------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path, image):
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", image[::-1] if name == "b" else image)
    return make_config(
        images={"path": [str(tmp_path / "a.npy"), str(tmp_path / "b.npy")]},
        kmeans={"k": 4},
        results={"path": str(tmp_path / "out")},
        cluster={"kind": "serial"},
    )


def test_a_run_returns_its_record_and_tells_its_watcher(config):
    seen = []
    record = run(config, watch=seen.append)

    assert record.state == "finished"
    assert record.counts == {"done": 2}
    assert record.pixels == 2 * 26 * 34
    assert record.nbytes == 3 * record.pixels
    assert seen[0] == RunStarted(images=2, pending=2)
    assert isinstance(seen[-1], RunFinished)
    assert seen[-1].counts == {"done": 2}
    assert sorted(e.image for e in seen if isinstance(e, ImageFinished)) == ["a", "b"]


def test_a_run_gives_what_segment_gives(config, image):
    run(config)
    found = open_run(config.results.path).images["a"]
    result = segment(image, 4)

    np.testing.assert_array_equal(found.labels()[...], result.labels)
    same_model(found.model, result.model)


def test_the_record_is_what_run_json_holds(config):
    record = run(config)
    assert open_run(config.results.path).record.to_json() == record.to_json()


def test_a_plan_reads_headers_and_writes_nothing(config, tmp_path, monkeypatch):
    monkeypatch.setattr(NpyImage, "decode", None)
    planned = chunkmeans.plan(config)

    assert [image.id for image in planned.images] == ["a", "b"]
    assert {image.shape for image in planned.images} == {(26, 34)}
    assert planned.nbytes == 2 * 26 * 34 * 3
    assert not (tmp_path / "out").exists()


def test_labels_of_a_run_are_exported(config, tmp_path):
    from PIL import Image

    run(config)
    results = open_run(config.results.path)
    first, second = (
        chunkmeans.export(results, tmp_path / "png"),
        chunkmeans.export(config.results.path, tmp_path / "png"),
    )
    assert [file.image for file in first] == list(results.images)
    assert {file.state for file in first} == {"written"}
    assert {file.state for file in second} == {"skipped"}
    for file in first:
        with Image.open(file.path) as picture:
            np.testing.assert_array_equal(
                np.asarray(picture), results.images[file.image].labels()[...]
            )


def test_results_that_are_not_there_are_an_error(tmp_path):
    with pytest.raises(ResultError, match="nowhere"):
        open_run(tmp_path / "nowhere")


def test_means_of_earlier_results_are_a_start(config, tmp_path, image):
    run(config)
    earlier = open_run(config.results.path).images["a"].model
    again = make_config(
        images={"path": str(tmp_path / "a.npy")},
        kmeans={"k": 4, "init": {"from": config.results.path}},
        results={"path": str(tmp_path / "again")},
        cluster={"kind": "serial"},
    )
    run(again)

    model = open_run(tmp_path / "again").images["a"].model
    np.testing.assert_array_equal(model.means, earlier.means)
    assert model.residuals.tolist() == [0.0]


def test_more_earlier_means_than_labels_are_refused(config, tmp_path):
    run(config)
    again = make_config(
        images={"path": str(tmp_path / "a.npy")},
        kmeans={"k": 2, "init": {"from": config.results.path}},
        results={"path": str(tmp_path / "again")},
        cluster={"kind": "serial"},
    )
    with pytest.raises(ConfigError, match=r"4 means for image 'a', kmeans\.k is 2; set kmeans\.k"):
        run(again)
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"memory": "100MiB"}, r"^memory: a worker needs \d+ MiB .* and has 100 MiB; raise"),
        ({"features": {"scale": [1.0] * 9}}, r"features.scale: 9 weights for \d channels"),
        (
            {"kmeans": {"k": 1, "init": {"means": [[0.0] * 9]}}},
            r"kmeans.init: the given means have 9 channels, the image has",
        ),
        ({"results": {"chunk": [8, 8, 8]}}, "results.chunk"),
    ],
)
def test_what_fits_no_image_is_refused_before_the_start(config, tmp_path, asked, message):
    sections = config.model_dump()
    asked = {
        name: {**sections[name], **section} if isinstance(section, dict) else section
        for name, section in asked.items()
    }
    with pytest.raises(ConfigError, match=message):
        run(make_config(**{**sections, **asked}))
    assert not (tmp_path / "out").exists()


def test_an_image_may_lie_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nowhere").mkdir()
    np.save("nowhere/x.npy", np.array([[0, 0, 0], [9, 9, 9]], np.uint8))
    assert segment("nowhere/x.npy", 2).labels.tolist() == [[1, 1, 1], [2, 2, 2]]


def test_segment_takes_means_and_not_earlier_results():
    with pytest.raises(ConfigError, match=r"init: earlier results hold many images"):
        segment(np.zeros((2, 2), np.uint8), 1, init={"from": "results"})
