"""Labels go where their pixels are, and the totals are those of what was written."""

import numpy as np
import pytest
from chunkmeans.engines.serial import SerialEngine
from chunkmeans.events import Advanced, PhaseFinished, PhaseStarted
from chunkmeans.kmeans.fit import FitSettings
from chunkmeans.steps.plan.memory import bundled, cut
from chunkmeans.steps.segment.collect import collect
from chunkmeans.steps.segment.in_memory import segment_array
from chunkmeans.steps.segment.iterate import iterate
from chunkmeans.steps.segment.label import label, merge_counted
from chunkmeans.steps.segment.scan import Scan

from tests.steps.examples import source
from tests.support import oracle
from tests.test_exactness import picture

START = np.array([[10.0, 10.0], [100.0, 60.0], [220.0, 240.0]])


@pytest.fixture
def image():
    array = picture("uint8", 2, (13, 17), levels=30)
    array[4:6, 3:9] = 0
    return array


@pytest.mark.parametrize("counted", [True, False], ids=["counted", "from the table"])
@pytest.mark.parametrize("edge", [1, 5, 100])
def test_labels_and_totals_are_those_of_brute_force(image, counted, edge):
    engine = SerialEngine()
    bundles = bundled(cut(source(image, nodata=(0,)), (edge, edge), 0, "array"), engine.size)
    scan = Scan(engine, "array", bundles)
    collected = collect(scan)
    fit = iterate(scan, collected, FitSettings(3, START))
    labels = np.full((13, 17), 99, np.uint8)
    seen = []

    def write(box, values, colours):
        labels[box.slices] = values

    table = None if counted else collected
    scan = Scan(engine, "array", bundles, seen.append)
    total = label(scan, fit, table, write, np.dtype(np.uint8))

    expected, _ = oracle.segment(image, START, nodata=(0,))
    np.testing.assert_array_equal(labels, expected)
    by_mean = np.bincount(expected.ravel(), minlength=4)[fit.numbers]
    np.testing.assert_array_equal(total.counts, by_mean)
    assert total.sums.integers == [
        int(image[expected == number][:, channel].sum(dtype=np.int64))
        for number in fit.numbers
        for channel in range(2)
    ]
    assert isinstance(seen[0], PhaseStarted)
    assert isinstance(seen[-1], PhaseFinished)
    assert sum(e.pixels for e in seen if isinstance(e, Advanced)) == 13 * 17 == seen[0].pixels


def test_nothing_counted_is_nothing_added(image):
    assert merge_counted(None, None) is None


@pytest.mark.parametrize("threads", [1, 4])
def test_threads_of_this_process_do_not_change_an_array(image, threads):
    one = segment_array(source(image), FitSettings(4, seed=3), SerialEngine())
    many = segment_array(source(image), FitSettings(4, seed=3), SerialEngine(threads))
    np.testing.assert_array_equal(one.labels, many.labels)
    assert one.model.to_dict() == many.model.to_dict()
