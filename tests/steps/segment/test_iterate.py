"""The iteration on a table and on pixels gives the same, and reads as often as it says."""

import numpy as np
import pytest
from chunkmeans.engines.pixel_cache import PIXEL_CACHE
from chunkmeans.engines.serial import SerialEngine
from chunkmeans.events import Iterated, PhaseStarted
from chunkmeans.kmeans.counting import sketch
from chunkmeans.kmeans.fit import FitSettings
from chunkmeans.kmeans.metric import Metric
from chunkmeans.kmeans.tree import TableSource, Tree
from chunkmeans.steps.plan.memory import bundled, cut
from chunkmeans.steps.segment.collect import collect
from chunkmeans.steps.segment.iterate import ChunkPixels, iterate
from chunkmeans.steps.segment.scan import Scan

from tests.steps.examples import source
from tests.support import oracle
from tests.support.judge import distinct as table_of
from tests.test_exactness import picture, some_means


@pytest.fixture
def image():
    return picture("float32", 3, (19, 14), levels=25)


def chunks(image, edge, room=0):
    engine = SerialEngine()
    return engine, bundled(cut(source(image), (edge, edge), room, "array"), engine.size)


@pytest.mark.parametrize("edge", [3, 8, 100])
@pytest.mark.parametrize("number", [1, 2, 500])
def test_pixels_answer_as_their_table_does(image, edge, number):
    means = some_means(image, 5)
    metric = Metric(np.array([1.0, 0.25, 3.0]))
    engine, bundles = chunks(image, edge)
    pixels = ChunkPixels(Scan(engine, "array", bundles), metric)
    table = TableSource(table_of(image), metric, threads=2)

    a, b = pixels.sums(means), table.sums(means)
    np.testing.assert_array_equal(a.counts, b.counts)
    assert a.sums.integers == b.sums.integers
    far, same = pixels.farthest(means, number), table.farthest(means, number)
    np.testing.assert_array_equal(far.values, same.values)
    np.testing.assert_array_equal(far.distances, same.distances)


def test_one_pass_over_the_pixels_for_each_iteration_and_none_over_a_table(image, monkeypatch):
    means = some_means(image, 4)
    expected = oracle.lloyd(image.reshape(-1, 3), means)
    for limit, passes in ((sketch.LIMIT, 0), (8, len(expected.iterations))):
        monkeypatch.setattr(sketch, "LIMIT", limit)
        monkeypatch.setattr(sketch, "SKETCH", min(limit, sketch.SKETCH))
        engine, bundles = chunks(image, 6)
        collected = collect(Scan(engine, "array", bundles))
        seen = []
        iterate(Scan(engine, "array", bundles, seen.append), collected, FitSettings(4, means))

        assert collected.complete == (passes == 0)
        assert sum(isinstance(e, PhaseStarted) for e in seen) == passes
        told = [e.residual for e in seen if isinstance(e, Iterated)]
        assert told == [turn.residual for turn in expected.iterations]


@pytest.mark.parametrize(
    ("restarts", "most", "made"), [(1, 3, False), (1, 4, True), (3, 1, False), (2, 2, True)]
)
def test_trees_of_held_pixels_are_made_once_where_passes_will_be_worth_them(
    image, monkeypatch, restarts, most, made
):
    monkeypatch.setattr(sketch, "LIMIT", 8)
    monkeypatch.setattr(sketch, "SKETCH", 8)
    trees = []
    monkeypatch.setattr(Tree, "of", watched(Tree.of, trees))
    engine, bundles = chunks(image, 6, room=2**20)
    scan = Scan(engine, "array", bundles)
    iterate(scan, collect(scan), FitSettings(4, restarts=restarts, max_iterations=most))
    PIXEL_CACHE.release("array")
    assert len(trees) == (sum(map(len, bundles)) if made else 0)


def watched(of, made):
    def noted(samples, metric):
        made.append(of(samples, metric))
        return made[-1]

    return noted
