from itertools import pairwise

import numpy as np
import pytest
from chunkmeans.errors import ConfigError
from chunkmeans.image.grid import Box, split
from chunkmeans.results.write.layout import plan_labels
from hypothesis import given
from hypothesis import strategies as st

from tests.results.examples import image_info, layouts


def cut(shape, axes=None, **asked):
    """Levels as (shape, chunk, shard, with the block)."""
    layout = plan_labels(image_info(shape, axes), 4, **asked)
    return [(n.shape, n.chunk, n.shard, n.with_block) for n in layout.levels]


def test_a_large_flat_image_has_shards_of_halving_edge_and_then_whole_ones():
    assert cut((50_000, 40_000)) == [
        ((50_000, 40_000), (512, 512), (2048, 2048), True),
        ((25_000, 20_000), (512, 512), (1024, 1024), True),
        ((12_500, 10_000), (512, 512), None, True),
        ((6250, 5000), (512, 512), (2048, 2048), False),
        ((3125, 2500), (512, 512), (2048, 2048), False),
        ((1563, 1250), (512, 512), (1536 + 512, 1536), False),
        ((782, 625), (512, 512), (1024, 1024), False),
        ((391, 313), (391, 313), None, False),
    ]


def test_a_volume_has_smaller_edges():
    assert cut((500, 600, 700))[:3] == [
        ((500, 600, 700), (64, 64, 64), (256, 256, 256), True),
        ((250, 300, 350), (64, 64, 64), (128, 128, 128), True),
        ((125, 150, 175), (64, 64, 64), None, True),
    ]


def test_a_small_image_is_one_object():
    assert cut((300, 200)) == [((300, 200), (300, 200), None, True)]
    assert cut((1, 1)) == [((1, 1), (1, 1), None, True)]


def test_a_block_that_covers_the_image_writes_all_levels():
    assert cut((1500, 900)) == [
        ((1500, 900), (512, 512), (1536, 1024), True),
        ((750, 450), (512, 450), (1024, 450), True),
        ((375, 225), (375, 225), None, True),
    ]


def test_time_is_neither_halved_nor_joined():
    assert cut((7, 3000, 600), "tyx") == [
        ((7, 3000, 600), (1, 512, 512), (1, 2048, 1024), True),
        ((7, 1500, 300), (1, 512, 300), (1, 1024, 300), True),
        ((7, 750, 150), (1, 512, 150), None, True),
        ((7, 375, 75), (1, 375, 75), None, False),
    ]


def test_without_shards_a_block_is_a_chunk():
    assert cut((1000, 600), shard="none") == [
        ((1000, 600), (512, 512), None, True),
        ((500, 300), (500, 300), None, False),
    ]


def test_without_a_pyramid_there_is_one_level():
    assert len(cut((9000, 9000), pyramid="none")) == 1


def test_a_shard_that_cannot_be_halved_leaves_levels_to_tasks_of_their_own():
    assert [level[3] for level in cut((99, 99), chunk=10, shard=30)] == [True, *[False] * 4]


def test_the_default_shard_fits_the_chunk_that_is_asked_for():
    assert cut((9000, 9000), chunk=300)[0][2] == (1200, 1200)
    assert cut((9000, 9000), chunk=4096)[0][1:3] == ((4096, 4096), None)
    assert cut((9000, 9000), shard=256)[0][1:3] == ((256, 256), None)


def test_edges_may_be_given_per_axis_with_or_without_time():
    assert cut((5, 99, 99), "zyx", chunk=(1, 32, 32), shard=(1, 64, 64))[0][1:3] == (
        (1, 32, 32),
        (1, 64, 64),
    )
    assert cut((5, 99, 99), "tyx", chunk=(32, 32), shard=(64, 64))[0][1] == (1, 32, 32)
    assert cut((5, 99, 99), "tyx", chunk=(5, 32, 32), shard=(5, 64, 64))[0][1] == (5, 32, 32)


def test_labels_are_bytes_as_long_as_they_fit():
    info = image_info((5, 5))
    assert plan_labels(info, 255).dtype == np.uint8
    assert plan_labels(info, 256).dtype == np.uint16
    assert plan_labels(info, 65_535).dtype == np.uint16


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"chunk": 100, "shard": 250}, "a shard of 250 pixels does not hold whole chunks of 100"),
        ({"chunk": 512, "shard": 100}, "a shard of 100 pixels does not hold whole chunks of 512"),
        ({"shard": 1000}, "a shard of 1000 pixels does not hold whole chunks of 512"),
        ({"chunk": (1, 2, 3)}, r"results\.chunk has 3 edges, the image has the axes 'yx'"),
    ],
)
def test_a_layout_that_cannot_be_is_refused_with_both_numbers(asked, message):
    with pytest.raises(ConfigError, match=message):
        plan_labels(image_info((5000, 5000)), 4, **asked)


def test_an_image_without_pixels_has_no_layout():
    with pytest.raises(ValueError, match=r"\(0, 5\) has no pixel"):
        plan_labels(image_info((0, 5)), 4)


shapes = st.sampled_from(["yx", "zyx", "tyx", "tzyx"]).flatmap(
    lambda axes: st.tuples(
        st.just(axes), st.tuples(*[st.integers(1, 90 if len(axes) == 2 else 25)] * len(axes))
    )
)


@given(image=shapes, asked=layouts)
def test_every_object_of_every_level_is_written_by_exactly_one_task(image, asked):
    axes, shape = image
    layout = plan_labels(image_info(shape, axes), 4, **asked)
    times = [np.zeros(level.shape, int) for level in layout.levels]
    for block in split(Box.whole(shape), layout.block):
        for n, level in enumerate(layout.levels):
            if level.with_block:
                part = layout.part(block, n)
                times[n][part.slices] += 1
                for a, b, u, size in zip(
                    part.start, part.stop, level.unit, level.shape, strict=True
                ):
                    assert a % u == 0
                    assert b % u == 0 or b == size
    for tasks in layout.upper():
        for n, box in tasks:
            times[n][box.slices] += 1
    assert all((count == 1).all() for count in times)


@given(image=shapes, asked=layouts)
def test_levels_halve_until_a_chunk_holds_the_longest_axis(image, asked):
    axes, shape = image
    levels = plan_labels(image_info(shape, axes), 4, **asked).levels
    spatial = [axis != "t" for axis in axes]
    for below, level in pairwise(levels):
        assert level.shape == tuple(
            -(-n // 2) if s else n for n, s in zip(below.shape, spatial, strict=True)
        )
        assert max(n for n, s in zip(below.shape, spatial, strict=True) if s) > asked["chunk"]
    last = levels[-1].shape
    assert max(n for n, s in zip(last, spatial, strict=True) if s) <= asked["chunk"]
    for level in levels:
        assert all(u % c == 0 for u, c in zip(level.unit, level.chunk, strict=True))
        assert all(c <= n for c, n in zip(level.chunk, level.shape, strict=True))
        assert all(u - c < n for u, c, n in zip(level.unit, level.chunk, level.shape, strict=True))
