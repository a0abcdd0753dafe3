"""The whole against brute force: labels, means and history equal the oracle's, bit for bit."""

import math

import numpy as np
import pytest
import tifffile
import zarr
from chunkmeans import make_config, open_run, run, segment
from chunkmeans.kmeans.metric import Metric
from chunkmeans.kmeans.seeding import Draws, plusplus_means, random_means
from hypothesis import given
from hypothesis import strategies as st

from tests.support import oracle
from tests.support.judge import assert_equal_to_oracle, deviations, distinct, same_bits
from tests.support.pairs import pairwise
from tests.support.strategies import DTYPES, channel_weights, given_means, images

AXES = {3: "yxc", 4: "zyxc"}
CHANNELS = (1, 3, 4, 6)


def picture(dtype, channels, shape, *, seed=0, levels=None):
    """Return smooth blobs with noise on them, (*shape, channels); few `levels` make ties."""
    rng = np.random.default_rng(seed)
    grid = np.meshgrid(*(np.linspace(0, 3, n) for n in shape), indexing="ij")
    smooth = sum(np.sin(axis * (2 + i)) for i, axis in enumerate(grid))
    values = np.stack([smooth * (1 + ch) + rng.normal(0, 0.5, shape) for ch in range(channels)], -1)
    values = (values - values.min()) / (values.max() - values.min())
    if levels:
        values = np.round(values * levels) / levels
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return ((values - 0.3) * 1000).astype(dtype)
    info = np.iinfo(dtype)
    return np.round(info.min + values * (info.max - info.min)).astype(dtype)


def some_means(image, k, *, seed=0):
    """Return initial means (k, c): some of the image's vectors, shifted by halves."""
    rng = np.random.default_rng(seed)
    samples = image.reshape(-1, image.shape[-1]).astype(np.float64)
    return samples[rng.integers(0, len(samples), k)] + rng.integers(0, 2, (k, 1)) * 0.5


# -- arrays ---------------------------------------------------------------------------------------


@pairwise(dtype=DTYPES, channels=CHANNELS, k=[1, 2, 7, 40], shape=[(17, 21), (4, 7, 11)])
def test_labels_and_means_of_an_array_equal_brute_force(dtype, channels, shape, k):
    image = picture(dtype, channels, shape, levels=40)
    means = some_means(image, k)

    result = segment(image, init=means, axes=AXES[image.ndim], max_iterations=8)

    assert_equal_to_oracle(result.labels, result.model, image, means, max_iterations=8)


@pytest.mark.parametrize("channels", [1, 6])
@pytest.mark.parametrize("dtype", DTYPES)
def test_three_hundred_labels_equal_brute_force(dtype, channels):
    image = picture(dtype, channels, (26, 33), levels=100)
    means = some_means(image, 300)

    result = segment(image, init=means, axes="yxc", max_iterations=4)

    assert_equal_to_oracle(result.labels, result.model, image, means, max_iterations=4)
    assert result.labels.dtype == np.uint16


@given(data=st.data())
def test_any_image_equals_brute_force(data):
    image = data.draw(images())
    k = data.draw(st.sampled_from([1, 2, 3, 5, 20]))
    means = data.draw(given_means(image, k))
    threshold = data.draw(st.sampled_from([0.0, 0.0, 0.5, 100.0]))
    empty = data.draw(st.sampled_from(["farthest", "keep"]))

    how = {"threshold": threshold, "empty": empty, "max_iterations": 30}
    result = segment(
        image.values,
        init=means,
        axes=AXES[image.values.ndim],
        nodata=list(image.nodata) if len(image.nodata) > 1 else (image.nodata or (None,))[0],
        **how,
    )

    assert_equal_to_oracle(
        result.labels, result.model, image.values, means, nodata=image.nodata, **how
    )


@pytest.mark.parametrize("dtype", ["int8", "uint32", "int32", "int64", "uint64", "float16"])
def test_other_types_equal_brute_force(dtype):
    image = picture("float16" if dtype == "float16" else "uint8", 2, (17, 19))
    if np.dtype(dtype).kind != "f":
        info = np.iinfo(dtype)
        step = (int(info.max) - int(info.min)) // 255
        exact = [int(info.min) + step * int(x) for x in image.ravel()]
        image = np.array(exact, dtype).reshape(image.shape)
    means = some_means(image, 5)

    result = segment(image, init=means, axes="yxc", max_iterations=20)

    assert_equal_to_oracle(result.labels, result.model, image, means, max_iterations=20)


# -- files ----------------------------------------------------------------------------------------


def write_npy(path, image):
    np.save(path / "image.npy", image)
    return path / "image.npy"


def write_tiff(path, image):
    how = {"photometric": "minisblack", "tile": (16, 16), "compression": "zlib"}
    if image.shape[-1] == 1:
        tifffile.imwrite(path / "image.tif", image[..., 0], **how)
    else:
        tifffile.imwrite(path / "image.tif", image, planarconfig="contig", **how)
    return path / "image.tif"


def write_zarr(path, image):
    array = zarr.create_array(
        path / "image.zarr", shape=image.shape, dtype=image.dtype, chunks=(7,) * image.ndim
    )
    array[...] = image
    return path / "image.zarr"


WRITERS = {"npy": write_npy, "tiff": write_tiff, "zarr": write_zarr}


def run_file(path, out, *, kmeans, **sections):
    """Run the pipeline on one file, in this process; return the result of its image."""
    nodata = sections.pop("images", {})
    run(
        make_config(
            images={"path": str(path), **nodata},
            kmeans=kmeans,
            results={"path": str(out), "chunk": 16, "shard": 32},
            cluster={"kind": "serial"},
            **sections,
        )
    )
    (found,) = open_run(out).images.values()
    found.check(read=True)
    return found


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize(
    ("dtype", "channels", "shape", "nodata"),
    [
        ("uint8", 1, (70, 45), 9),
        ("uint8", 3, (37, 66), None),
        ("uint16", 4, (33, 40), [7000, 9, 9, 9]),
        ("int16", 6, (3, 18, 20), None),
        ("float32", 3, (3, 18, 34), None),
        ("float64", 1, (40, 40), float("nan")),
    ],
)
def test_files_equal_brute_force(tmp_path, write, dtype, channels, shape, nodata):
    image = picture(dtype, channels, shape, levels=30)
    image[0, :4] = 9 if nodata == 9 else image[0, :4]
    if nodata == [7000, 9, 9, 9]:
        image[5, 3:30, 0] = 7000
    if np.dtype(dtype).kind == "f":
        image[1, 2:7, ..., 0] = np.nan
        image[2, 3, ..., -1] = np.inf
    means = some_means(image[oracle.valid(image)].reshape(1, -1, channels), 9)

    asked = {} if write is write_tiff else {"axes": AXES[image.ndim]}
    if nodata is not None:
        asked["nodata"] = nodata
    found = run_file(
        write(tmp_path, image),
        tmp_path / "out",
        kmeans={"init": {"means": means.tolist()}, "max_iterations": 10},
        images=asked,
    )

    expected = () if nodata is None else tuple(nodata) if isinstance(nodata, list) else (nodata,)
    assert_equal_to_oracle(
        found.labels()[...], found.model, image, means, nodata=expected, max_iterations=10
    )


# -- random starts --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "channels", "k"),
    [("uint8", 1, 5), ("uint8", 3, 300), ("uint16", 4, 6), ("int16", 1, 12), ("float32", 6, 30)],
)
@pytest.mark.parametrize("init", ["random", "kmeans++"])
def test_random_starts_go_on_as_brute_force_from_the_drawn_means(
    tmp_path, dtype, channels, k, init
):
    image = picture(dtype, channels, (21, 33), levels=60)
    table = distinct(image)
    draws = Draws(11, 0)
    means = (
        random_means(table, k, draws)
        if init == "random"
        else plusplus_means(table, k, draws, Metric(np.ones(channels)))
    )
    assert len(means) == min(k, len(table.values))

    found = run_file(
        write_npy(tmp_path, image),
        tmp_path / "out",
        kmeans={"k": k, "init": init, "seed": 11, "max_iterations": 6},
        images={"axes": "yxc"},
    )

    assert_equal_to_oracle(found.labels()[...], found.model, image, means, max_iterations=6)


def test_of_restarts_the_one_of_lowest_inertia_is_kept():
    image = picture("uint8", 3, (20, 30), levels=25)
    table = distinct(image)
    fits = [
        oracle.lloyd(image.reshape(-1, 3), random_means(table, 6, Draws(3, i))) for i in range(5)
    ]
    ends = [oracle.inertia(image.reshape(-1, 3), f.labels, f.means, f.weights) for f in fits]
    best = ends.index(min(ends))
    assert len(set(ends)) > 1

    result = segment(image, 6, axes="yxc", restarts=5, seed=3)

    assert [start.inertia for start in result.model.starts] == ends
    assert [start.iterations for start in result.model.starts] == [len(f.iterations) for f in fits]
    assert result.model.best == best
    assert_equal_to_oracle(
        result.labels, result.model, image, random_means(table, 6, Draws(3, best))
    )


# -- scaling --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", ["standard", "range"])
def test_scales_are_exact_and_the_means_stay_in_the_units_of_the_image(dtype, scale):
    image = picture(dtype, 4, (19, 23), levels=90)
    image[..., 1] = 5
    samples = image.reshape(-1, 4)
    if scale == "standard":
        spread = deviations(samples)
    else:
        spread = [float(max(column) - min(column)) for column in samples.T.tolist()]
    weights = [1.0 if s == 0 else 1.0 / s for s in spread]
    means = some_means(image, 6)

    result = segment(image, init=means, axes="yxc", scale=scale, max_iterations=10)

    same_bits(result.model.weights, weights)
    assert_equal_to_oracle(
        result.labels, result.model, image, means, weights=weights, max_iterations=10
    )


@given(data=st.data())
def test_weights_equal_brute_force(data):
    image = data.draw(images())
    means = data.draw(given_means(image, 4))
    weights = data.draw(channel_weights(image.channels))

    result = segment(
        image.values,
        init=means,
        axes=AXES[image.values.ndim],
        nodata=list(image.nodata) if len(image.nodata) > 1 else (image.nodata or (None,))[0],
        scale=weights.tolist(),
        max_iterations=15,
    )

    assert_equal_to_oracle(
        result.labels, result.model, image.values, means,
        nodata=image.nodata, weights=weights, max_iterations=15,
    )  # fmt: skip


# -- others' judgement ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_means_equal_those_of_scikit_learn_from_the_same_start(dtype):
    image = picture(dtype, 3, (60, 80))
    start = some_means(image, 6)
    result = segment(image, init=start, axes="yxc")

    from sklearn.cluster import KMeans  # only here, as it takes a second
    from threadpoolctl import threadpool_limits

    theirs = KMeans(6, init=start, n_init=1, tol=0.0, max_iter=1000, algorithm="lloyd")
    with threadpool_limits(1):  # more threads would wait for each other, busily
        theirs.fit(image.reshape(-1, 3).astype(np.float64))
    found = theirs.cluster_centers_[oracle.label_order(theirs.cluster_centers_)]

    assert result.model.converged
    np.testing.assert_allclose(result.means, found, rtol=1e-9)
    assert math.isclose(result.model.inertia, theirs.inertia_, rel_tol=1e-9)


@pytest.mark.parametrize(
    "name", ["camera.png", "coins.png", "coffee.png", "ihc.png", "hubble_deep_field.jpg"]
)
@pytest.mark.parametrize("k", [2, 5, 16])
def test_real_pictures_end_with_a_residual_of_exactly_zero(name, k):
    result = segment(f"package://skimage/data/{name}", k)

    assert result.model.residuals[-1] == 0.0
    assert (result.model.residuals[:-1] > 0).all()
    assert result.model.converged
    assert (np.diff(result.model.inertias) <= 0).all()
    assert result.model.inertia == result.model.inertias[-1]
