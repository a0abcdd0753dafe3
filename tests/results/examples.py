"""Small images, models and layouts that the tests of results share."""

from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from chunkmeans.image.grid import Box, split
from chunkmeans.image.info import ImageInfo
from chunkmeans.kmeans.model import Model, Start
from chunkmeans.results.store.store import Store
from chunkmeans.results.write.complete import complete
from chunkmeans.results.write.labels import LabelWriter, create_labels
from chunkmeans.results.write.layout import plan_labels
from hypothesis import strategies as st

import tests.support.strategies  # noqa: F401  sets the profile of hypothesis


def image_info(shape, axes=None, channels=3, dtype="uint8", **more):
    axes = axes or "tzyx"[-len(shape) :]
    return ImageInfo(axes, tuple(shape), channels, np.dtype(dtype), tuple(shape), **more)


def image_labels(shape, k=4, seed=0):
    """Labels 0 to k in patches, so that modes are not all the same."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, k + 1, [-(-n // 3) for n in shape])
    for axis in range(len(shape)):
        coarse = coarse.repeat(3, axis)
    labels = coarse[tuple(slice(0, n) for n in shape)]
    noise = rng.random(shape) < 0.2
    labels = np.where(noise, rng.integers(0, k + 1, shape), labels)
    return labels.astype(np.uint8 if k <= 255 else np.uint16)


def model(k=4, channels=3, iterations=3, counts=None, seed=0, low=0.0, high=255.0):
    rng = np.random.default_rng(seed)
    means = np.sort(rng.uniform(low, high, (k, channels)), axis=0)
    return Model(
        means=means,
        order=rng.permutation(k),
        weights=rng.random(channels),
        counts=np.ones(k, np.int64) if counts is None else np.asarray(counts, np.int64),
        deviations=rng.random((k, channels)),
        inertia=float(rng.random()),
        converged=True,
        residuals=rng.random(iterations),
        inertias=rng.random(iterations),
        history=rng.integers(0, 2**60, (iterations, k)),
        starts=(Start(0.1, 7, 0.0, True), Start(1 / 3, iterations, 1e-300, False)),
        best=1,
    )


def counts(labels, k=4):
    return np.bincount(labels.ravel(), minlength=k + 1)[1:]


def assert_same_model(one, other):
    assert one.to_dict() == other.to_dict()
    for name in ("means", "order", "weights", "counts", "deviations", "residuals", "history"):
        a, b = getattr(one, name), getattr(other, name)
        assert a.dtype == b.dtype
        assert a.shape == b.shape


def begin(store, info, k=4, image="a", mean_image=False, **layout) -> LabelWriter:
    return create_labels(store, image, plan_labels(info, k, **layout), info, mean_image)


def write_all(writer, labels, means=None):
    for box in split(Box.whole(labels.shape), writer.layout.block):
        writer.write(box, labels[box.slices], means)
    for level in writer.layout.upper():
        for n, box in level:
            writer.write_upper((n, box), means)


def finished(store, info, labels, k=4, image="a", mean_image=False, attributes=None, **layout):
    """Write and finish an image; returns its model."""
    fit = model(k, info.channels, counts=counts(labels, k))
    writer = begin(store, info, k, image, mean_image, **layout)
    write_all(writer, labels, fit.means)
    finish(writer, fit, attributes or {"source": {"path": "a.tif"}})
    return fit


def finish(writer, fit, attributes):
    """Complete the image that was written."""
    complete(writer.store, [writer.mark(fit, attributes)])


def stored_bytes(store, path="images/a.ome.zarr"):
    return {name: store.read_bytes(f"{path}/{name}") for name in store.files(path)}


def brute_mode(labels, axes):
    """The most frequent label of each block, the lowest of equals; slow and plain."""
    shape = [n if a == "t" else -(-n // 2) for a, n in zip(axes, labels.shape, strict=True)]
    half = np.empty(shape, labels.dtype)
    for at in np.ndindex(*shape):
        covered = tuple(
            slice(i, i + 1) if a == "t" else slice(2 * i, 2 * i + 2)
            for a, i in zip(axes, at, strict=True)
        )
        half[at] = np.bincount(labels[covered].ravel()).argmax()
    return half


SHAPES = [((19, 26), "yx"), ((5, 13, 9), "zyx"), ((2, 9, 12), "tyx"), ((2, 3, 9, 5), "tzyx")]

layouts = st.fixed_dictionaries(
    {
        "chunk": st.integers(3, 12),
        "times": st.sampled_from([1, 2, 3, 4, 8]),
        "sharded": st.booleans(),
    }
).map(lambda d: {"chunk": d["chunk"], "shard": d["chunk"] * d["times"] if d["sharded"] else "none"})


@pytest.fixture(params=["folder", "memory"])
def any_store(request, tmp_path):
    if request.param == "folder":
        return Store(str(tmp_path / "out"))
    return Store(f"memory://{uuid4().hex}/out")


@contextmanager
def damaged(path: Path, change):
    """Put `change` of a file's bytes in its place for a while."""
    before = path.read_bytes()
    path.write_bytes(change(before))
    yield
    path.write_bytes(before)
