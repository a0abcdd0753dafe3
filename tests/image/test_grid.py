"""Boxes and how they partition an image: integers only."""

import pickle
from math import prod

import numpy as np
import pytest
from chunkmeans.image.grid import Box, chunk_shape, merged_boxes, pieces, split
from hypothesis import given
from hypothesis import strategies as st


@st.composite
def boxes(draw, ndim=None, most=12):
    """Boxes, empty ones too."""
    ndim = draw(st.integers(1, 3)) if ndim is None else ndim
    corners = [draw(st.tuples(*[st.integers(0, most)] * ndim)) for _ in "ab"]
    return Box(tuple(map(min, *corners)), tuple(map(max, *corners)))


def edges(ndim, most=15):
    """A positive length per axis."""
    return st.tuples(*[st.integers(1, most)] * ndim)


def covered(parts, shape):
    """How often each pixel of an image is in one of the boxes."""
    times = np.zeros(shape, int)
    for part in parts:
        times[part.slices] += 1
    return times


def is_partition(parts, box):
    """Whether every pixel of the box is in exactly one part, and no part is empty."""
    expected = np.zeros(box.stop, int)
    expected[box.slices] = 1
    found = covered(parts, box.stop)
    return np.array_equal(found, expected) and all(part.size for part in parts)


class TestBox:
    @pytest.mark.parametrize(
        ("start", "stop", "message"),
        [
            ((0,), (1, 1), "as many starts as stops"),
            ((-1, 0), (1, 1), "not a box of pixels"),
            ((2, 0), (1, 1), "not a box of pixels"),
        ],
    )
    def test_what_is_no_box_is_refused(self, start, stop, message):
        with pytest.raises(ValueError, match=message):
            Box(start, stop)

    @given(boxes())
    def test_shape_size_and_slices_are_those_of_the_array_it_cuts_out(self, box):
        cut = np.zeros(box.stop)[box.slices]
        assert (cut.shape, cut.size) == (box.shape, box.size)

    @given(boxes(ndim=2), boxes(ndim=2))
    def test_an_intersection_has_the_pixels_of_both(self, a, b):
        both = covered([a], (12, 12)) & covered([b], (12, 12))
        assert np.array_equal(covered([a & b], (12, 12)), both)
        assert (a & b).size == (b & a).size == both.sum()
        assert a & a == a

    @given(boxes(ndim=2), boxes(ndim=2))
    def test_a_box_with_pixels_is_inside_another_where_the_intersection_is_the_box(self, a, b):
        if a.size:
            assert a.inside(b) == ((a & b) == a)
        assert a.inside(a)

    @given(boxes(ndim=3), edges(3))
    def test_a_box_that_is_shifted_there_and_back_is_the_same(self, box, offset):
        moved = box.shifted(offset)
        assert moved.shape == box.shape
        assert moved.within(offset) == box
        assert box.within(box.start) == Box.whole(box.shape)

    def test_a_box_cannot_leave_the_image_at_its_origin(self):
        with pytest.raises(ValueError, match="not a box"):
            Box((1,), (2,)).within((2,))

    @given(boxes())
    def test_it_is_a_value(self, box):
        twin = Box(box.start, box.stop)
        assert (twin == box, hash(twin), pickle.loads(pickle.dumps(box))) == (True, hash(box), box)

    def test_it_reads_as_an_index(self):
        assert str(Box((0, 4096), (512, 5000))) == "[0:512, 4096:5000]"

    def test_boxes_are_ordered_by_their_corner(self):
        a, b = Box((0, 5), (1, 6)), Box((1, 0), (2, 1))
        assert sorted([b, a]) == [a, b]


class TestWithout:
    @given(boxes(ndim=3, most=7), boxes(ndim=3, most=7))
    def test_what_is_left_has_the_pixels_of_the_one_and_not_of_the_other(self, a, b):
        left = a.without(b)
        there = covered([a], (7, 7, 7)) & ~covered([b], (7, 7, 7))
        assert np.array_equal(covered(left, (7, 7, 7)), there & 1)
        assert all(box.size for box in left)
        assert len(left) <= 6


class TestJoined:
    @given(boxes(), st.data())
    def test_pixels_stay_the_same_and_boxes_become_no_more(self, box, data):
        parts = data.draw(st.permutations(list(split(box, data.draw(edges(len(box.start)))))))
        some = parts[: data.draw(st.integers(0, len(parts)))]
        found = merged_boxes(some)
        assert np.array_equal(covered(found, box.stop), covered(some, box.stop))
        assert len(found) <= len(some)
        if box.size:
            assert merged_boxes(parts) == [box]

    @given(boxes(ndim=2), st.data())
    def test_a_stretch_of_a_grid_is_a_handful(self, box, data):
        parts = list(split(box, data.draw(edges(2))))
        start = data.draw(st.integers(0, len(parts)))
        assert len(merged_boxes(parts[start : data.draw(st.integers(start, len(parts)))])) <= 3


class TestSplit:
    @given(boxes(), st.data())
    def test_every_pixel_is_in_exactly_one_box(self, box, data):
        edge = data.draw(edges(len(box.start)))
        assert is_partition(list(split(box, edge)), box)

    @given(boxes(), st.data())
    def test_cuts_lie_on_the_grid_of_the_image(self, box, data):
        edge = data.draw(edges(len(box.start)))
        for part in split(box, edge):
            for axis, length in enumerate(edge):
                assert part.start[axis] == box.start[axis] or part.start[axis] % length == 0
                assert part.stop[axis] == box.stop[axis] or part.stop[axis] % length == 0
                assert part.start[axis] // length == (part.stop[axis] - 1) // length

    @given(boxes(), st.data())
    def test_boxes_come_in_c_order(self, box, data):
        parts = list(split(box, data.draw(edges(len(box.start)))))
        assert parts == sorted(parts)

    @given(boxes(ndim=2), edges(2), st.integers(1, 3))
    def test_a_finer_grid_cuts_the_boxes_of_a_coarser_one(self, box, edge, factor):
        fine = set(split(box, edge))
        coarse = split(box, tuple(factor * e for e in edge))
        assert {part for one in coarse for part in split(one, edge)} == fine

    def test_an_empty_box_has_no_parts(self):
        assert list(split(Box((3, 3), (3, 9)), (2, 2))) == []


class TestChunkShape:
    @given(
        st.integers(1, 3).flatmap(
            lambda ndim: st.tuples(edges(ndim, 40), edges(ndim, 50), edges(ndim, 9))
        ),
        st.integers(1, 2000),
    )
    def test_chunks_are_whole_shards_within_the_pixels_allowed(self, drawn, pixels):
        shape, native, shard = drawn
        chunk = chunk_shape(shape, native, shard, pixels)
        for length, block, side in zip(chunk, shard, shape, strict=True):
            assert length == side or (length % block == 0 and length < side)
        one = prod(min(s, n) for s, n in zip(shard, shape, strict=True))
        assert one <= prod(chunk) <= max(one, pixels)

    @pytest.mark.parametrize(
        ("shape", "native", "shard", "pixels", "expected"),
        [
            # Native chunks divide the shard: one shard.
            ((9000, 9000), (256, 256), (2048, 2048), 2**25, (2048, 2048)),
            # Strips as wide as the image: as wide as the image.
            ((9000, 9000), (1, 9000), (2048, 2048), 2**25, (2048, 9000)),
            # The same, with too few pixels allowed: one shard.
            ((9000, 9000), (1, 9000), (2048, 2048), 2**22, (2048, 2048)),
            # Planes of a volume.
            ((500, 1000, 1000), (1, 1000, 1000), (256, 256, 256), 2**28, (256, 1000, 1000)),
            # Neither divides the other: the common multiple.
            ((9000, 9000), (768, 2048), (512, 2048), 2**24, (1536, 2048)),
            # Larger native chunks: as many whole shards as hold one.
            ((9000, 9000), (3000, 512), (2048, 2048), 2**23 + 2**22, (4096, 2048)),
            # An image smaller than a shard.
            ((100, 70), (100, 70), (2048, 2048), 2**25, (100, 70)),
        ],
    )
    def test_native_chunks_are_cut_as_little_as_pixels_allow(
        self, shape, native, shard, pixels, expected
    ):
        assert chunk_shape(shape, native, shard, pixels) == expected


class TestPieces:
    @given(boxes(), st.data())
    def test_every_pixel_is_in_exactly_one_piece(self, box, data):
        native = data.draw(edges(len(box.start)))
        parts = list(pieces(box, native, data.draw(st.integers(1, 300))))
        assert is_partition(parts, box)

    @given(boxes(), st.data())
    def test_a_native_chunk_is_cut_by_the_box_alone(self, box, data):
        native = data.draw(edges(len(box.start)))
        for part in pieces(box, native, data.draw(st.integers(1, 300))):
            for axis, length in enumerate(native):
                assert part.start[axis] == box.start[axis] or part.start[axis] % length == 0
                assert part.stop[axis] == box.stop[axis] or part.stop[axis] % length == 0

    @given(boxes(), st.data())
    def test_a_piece_has_at_most_the_pixels_asked_for_or_is_one_native_chunk(self, box, data):
        native = data.draw(edges(len(box.start)))
        pixels = data.draw(st.integers(1, 300))
        for part in pieces(box, native, pixels):
            assert part.size <= max(pixels, prod(native))

    @given(boxes(ndim=2), edges(2))
    def test_a_box_that_fits_is_one_piece(self, box, native):
        expected = [box] if box.size else []
        assert list(pieces(box, native, max(1, box.size))) == expected

    def test_slabs_run_along_the_first_axis(self):
        box = Box((2048, 2048), (3000, 3000))
        found = [str(part) for part in pieces(box, (1, 3000), 300 * 952)]
        assert found[:2] == ["[2048:2100, 2048:3000]", "[2100:2400, 2048:3000]"]
        assert len(found) == 4
