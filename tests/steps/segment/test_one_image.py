"""One image from its pixels to its finished store, and what its row says of it."""

import re
from dataclasses import replace

import numpy as np
import pytest
from chunkmeans import ChunkmeansError
from chunkmeans.engines.serial import SerialEngine
from chunkmeans.results.read.open_results import open_segmented
from chunkmeans.results.write.complete import complete
from chunkmeans.steps.job import Opened
from chunkmeans.steps.segment.one_image import segment_image

from tests.steps.examples import MEANS, jobs
from tests.support.judge import assert_equal_to_oracle


@pytest.fixture
def job(tmp_path):
    return jobs(tmp_path, 1)[0]


def segmented(job):
    """Segment an image and complete its store; returns its row."""
    ending = segment_image(Opened(job, job.open()), SerialEngine())
    complete(job.output.store, [ending.mark] if ending.mark else [])
    return ending.row


def test_the_row_tells_what_the_store_holds(job):
    row = segmented(job)

    found = open_segmented(job.output.store, row.store)
    image = np.load(job.path)
    assert_equal_to_oracle(found.labels()[...], found.model, image, MEANS)
    assert (row.id, row.source, row.state, row.reason) == ("image0", job.path, "done", "")
    assert (row.shape, row.k, row.pixels, row.nodata) == ((12, 10), 3, 120, 0)
    assert row.iterations == len(found.model.residuals)
    assert row.residual == found.model.residuals[-1] == 0.0
    assert row.inertia == found.model.inertia
    assert row.seconds > 0
    assert found.source["fingerprint"] == job.open().fingerprint
    assert found.source["path"] == job.path


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"max_iterations": 1}, r"not converged: E is [\d.]+ after 1 iterations"),
        ({"init": np.array([[10.0], [1e9]]), "empty": "keep", "k": 2}, "1 label instead of 2"),
    ],
)
def test_a_result_with_a_reservation_is_warned(job, change, reason):
    job = replace(job, settings=replace(job.settings, **change))
    row = segmented(job)

    assert row.state == "warned"
    assert re.fullmatch(reason, row.reason)
    assert open_segmented(job.output.store, row.store).complete


def test_an_image_without_a_valid_pixel_is_skipped_and_has_no_store(job):
    np.save(job.path, np.full((3, 4, 1), 7, np.uint8))
    row = segmented(replace(job, nodata=(7,)))

    assert (row.state, row.pixels, row.nodata, row.store) == ("skipped", 0, 12, "")
    assert not job.output.store.exists("images")


def test_a_group_that_must_not_be_empty_fails_the_image(job):
    start = np.array([[10.0], [1e9]])
    job = replace(job, settings=replace(job.settings, init=start, k=2, empty="error"))
    with pytest.raises(ChunkmeansError, match="empt"):
        segmented(job)
    assert not job.output.store.exists("images/image0.ome.zarr")
