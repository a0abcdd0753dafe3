"""Chunks partition an image, and what a task needs stays within what there is."""

from itertools import product
from math import prod
from types import SimpleNamespace

import numpy as np
import pytest
from chunkmeans.engines.base import Size
from chunkmeans.errors import ConfigError
from chunkmeans.image.info import ImageInfo
from chunkmeans.kmeans.samples import canonical
from chunkmeans.results.write.layout import plan_labels
from chunkmeans.steps.chunk import Input
from chunkmeans.steps.plan.memory import (
    bundled,
    cut,
    driver_bytes,
    kept_bytes,
    plan_chunks,
    process_bytes,
    task_bytes,
)
from chunkmeans.steps.tuning import DEFAULT
from hypothesis import given
from hypothesis import strategies as st

from tests.steps.examples import source
from tests.support.ways import tuned

MIB = 2**20


def headed(info):
    """Return an input with that header and no pixels."""
    return Input("headed", SimpleNamespace(info=info), None, (), "", canonical(info.dtype))


@st.composite
def infos(draw):
    """Headers of images up to a few terapixels, stored in any way."""
    ndim = draw(st.sampled_from([2, 3]))
    sides = st.integers(1, 100) | st.integers(1, 300_000 if ndim == 2 else 20_000)
    shape = draw(st.tuples(*[sides] * ndim))
    native = tuple(draw(st.sampled_from([1, 256, 1000, n])) for n in shape)
    return ImageInfo(
        axes="zyx"[3 - ndim :],
        shape=shape,
        channels=draw(st.integers(1, 8)),
        dtype=np.dtype(draw(st.sampled_from(["u1", "u2", "i2", "i4", "f4", "f8"]))),
        chunks=tuple(min(a, b) for a, b in zip(native, shape, strict=True)),
    )


@given(infos(), st.integers(300, 20_000), st.integers(1, 3), st.integers(1, 4), st.booleans())
def test_chunks_keep_to_the_bound_or_are_refused(info, mib, workers, threads, mean_image):
    layout = plan_labels(info, 5)
    size = Size(workers, workers * threads, mib * MIB)
    smallest = tuple(min(b, s) for b, s in zip(layout.block, info.shape, strict=True))
    image = headed(info)
    once, driver = process_bytes(image, layout, size), driver_bytes(image, layout)
    least = once + threads * task_bytes(image, layout, smallest, mean_image)
    if DEFAULT.libraries + max(least, driver) > size.memory:
        with pytest.raises(ConfigError, match=rf"has {mib} MiB; raise `memory`"):
            plan_chunks(image, layout, size, mean_image)
        return
    shape, need = plan_chunks(image, layout, size, mean_image)
    assert need.total + need.cache_bytes <= need.bound == size.memory
    tasks = once + threads * task_bytes(image, layout, shape, mean_image)
    assert need.total == DEFAULT.libraries + max(tasks, driver)
    # each thread may hold a chunk in its hands while all that may be held is
    chunk = prod(shape) * (info.channels * canonical(info.dtype).itemsize + 1)
    assert need.total + need.cache_bytes + threads * min(chunk, need.cache_bytes) <= need.bound
    for edge, block, side in zip(shape, layout.block, info.shape, strict=True):
        assert edge == side or edge % block == 0


@given(infos(), st.integers(300, 4000))
def test_more_memory_never_makes_chunks_smaller(info, mib):
    layout = plan_labels(info, 5)
    sizes = []
    for factor in (1, 2, 8):
        try:
            shape, _ = plan_chunks(headed(info), layout, Size(1, 1, factor * mib * MIB), False)
        except ConfigError:
            assert not sizes
        else:
            sizes.append(prod(shape))
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("shape", [(5, 7), (16, 16), (17, 3), (4, 9, 5)])
@pytest.mark.parametrize("edge", [1, 4, 100])
def test_chunks_partition_an_image(shape, edge):
    image = source(np.zeros((*shape, 1), np.uint8), "zyxc"[3 - len(shape) :])
    seen = np.zeros(shape, int)
    for chunk in cut(image, (edge,) * len(shape), 0, "all"):
        seen[chunk.box.slices] += 1
        assert chunk.pixels == chunk.nbytes == chunk.box.size
    assert (seen == 1).all()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 16), st.integers(1, 10**4))
def test_bundles_hold_every_chunk_once_and_keep_threads_busy(rows, edge, threads, most):
    with pytest.MonkeyPatch.context() as patch:
        tuned(patch, bundle_pixels=most)
        image = source(np.zeros((rows * edge, 10, 1), np.uint8))
    chunks = cut(image, (edge, 10), 0, "all")
    found = bundled(chunks, Size(1, threads, MIB))

    assert sorted(chunk.box for bundle in found for chunk in bundle) == [c.box for c in chunks]
    assert all(found)
    assert len(found) >= min(len(chunks), threads)


def test_an_image_is_one_task_up_to_fewer_pixels_where_there_are_few_images():
    for images, threads in product([1, 2, 7, 8, 100], [1, 4]):
        most = DEFAULT.most_pixels_of_a_task(images, Size(1, threads, MIB))
        enough = images >= 2 * threads
        assert most == (DEFAULT.small_pixels if enough else DEFAULT.small_and_few_pixels)
    assert DEFAULT.small_and_few_pixels < DEFAULT.small_pixels


def flat(edge, **changes):
    """Return the header of a square RGB image."""
    info = ImageInfo("yx", (edge, edge), 3, np.dtype("u1"), (512, 512), **changes)
    return headed(info), plan_labels(info, 5)


@pytest.mark.parametrize(("dtype", "channels"), [("u1", 1), ("u1", 3), ("u2", 4), ("f4", 6)])
def test_a_larger_image_needs_no_more_than_the_merging_of_its_parts(dtype, channels):
    needs = []
    for edge in (2**14, 2**15, 2**17):
        info = ImageInfo("yx", (edge, edge), channels, np.dtype(dtype), (512, 512))
        size, layout = Size(1, 2, 2**40), plan_labels(info, 5)
        needs.append(plan_chunks(headed(info), layout, size, False)[1].total - DEFAULT.libraries)
    part = kept_bytes(headed(info), info.pixels)
    assert needs[0] <= needs[1] <= needs[2] <= 2 * needs[0] + 6 * part  # counts of 64 bits


def test_what_the_driver_needs_is_taken_from_the_workers_only_where_it_is_a_process_of_its_own():
    image, layout = flat(2**15)
    driver = DEFAULT.libraries + driver_bytes(image, layout)
    for workers, mib in product([1, 2, 5], [640, 700, 1000, 4000]):
        size = Size(workers, workers, mib * MIB, apart=True)
        try:
            _, need = plan_chunks(image, layout, size, False)
        except ConfigError:
            assert mib < 1000
            continue
        assert need.total + need.cache_bytes <= need.bound <= size.memory
        assert workers * need.bound + driver <= (workers + 1) * size.memory
    with pytest.raises(ConfigError, match=r"has 54\d MiB beside the 90\d MiB of the driver"):
        plan_chunks(image, layout, Size(2, 2, 662 * MIB, apart=True), False)


def test_what_decodes_as_a_whole_counts_once_for_all_threads_and_is_named_where_it_is_too_much():
    size = Size(1, 2, 2**40)
    (image, layout), (whole, _) = flat(8192), flat(8192, undivided=5 * 2**30)
    expected = process_bytes(image, layout, size) + 5 * 2**30
    assert process_bytes(whole, layout, size) == expected
    tasks = [task_bytes(one, layout, (2048, 2048), False) for one in (whole, image)]
    assert tasks[0] <= tasks[1]
    with pytest.raises(ConfigError, match=r"one piece, which takes 5120 MiB .* has 4096 MiB.*anew"):
        plan_chunks(whole, layout, Size(1, 2, 2**32), False)
