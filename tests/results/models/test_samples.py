"""Tables of pixels, written and found again."""

from pathlib import Path

import numpy as np
import pytest
from chunkmeans.errors import ResultError
from chunkmeans.image.grid import Box
from chunkmeans.results.models.samples import (
    find_samples,
    read_samples,
    samples_path,
    write_samples,
)
from chunkmeans.results.store.store import SAMPLES, Store
from hypothesis import given
from hypothesis import strategies as st

from tests.kmeans.examples import collect, column, same_moments, same_samples, small_sketch
from tests.support import strategies

COVERS = {"a": None, "b": (Box((0, 2), (4, 6)), Box((4, 0), (5, 6)))}


def again(store, collected, covers=COVERS):
    """Save what was collected, and return it as it is found."""
    write_samples(store, "collection", covers, collected)
    (part,), damaged = find_samples(store, "collection")
    assert not damaged
    assert part.covers == covers
    assert part.pixels == collected.pixels
    return read_samples(store, part)


def equal(a, b):
    """Whether two collections of samples are the same for every use."""
    assert (a.pixels, a.invalid, a.complete) == (b.pixels, b.invalid, b.complete)
    assert type(a.vectors) is type(b.vectors)
    assert same_samples(a.samples(), b.samples())
    assert same_samples(a.seeds(), b.seeds())
    assert same_moments(a.moments(), b.moments())
    for x, y in ((a.lowest, b.lowest), (a.highest, b.highest)):
        assert (x.dtype, x.tolist()) == (y.dtype, y.tolist())


@given(image=strategies.images(), other=st.integers(0, 9), small=st.booleans())
def test_what_was_collected_is_the_same_again_and_merges_the_same(
    tmp_path_factory, image, other, small
):
    values = image.samples
    with small_sketch(*((4, 8) if small else (2**17, 2**20))):
        collected, more = collect(values, invalid=3), collect(values[:other])
        found = again(Store(str(tmp_path_factory.mktemp("s"))), collected)
        equal(found, collected)
        equal(found.merge(more), collected.merge(more))


def test_counts_of_any_size_are_kept(tmp_path):
    collected = collect(column(1, 2, 2, 2))
    for _ in range(40):
        collected = collected.merge(collected)
    equal(again(Store(str(tmp_path)), collected), collected)


def test_parts_of_several_subjects_lie_apart(tmp_path):
    store = Store(str(tmp_path))
    for subject in ("collection", "groups/x", "images/x"):
        write_samples(store, subject, {subject: None}, collect(column(1, 2)))
    for subject in ("collection", "groups/x", "images/x"):
        (part,), _ = find_samples(store, subject)
        assert part.covers == {subject: None}
    store.delete(samples_path("groups/x"))
    assert find_samples(store, "groups/x") == ([], {})
    assert len(find_samples(store, "images/x")[0]) == 1
    assert find_samples(store, "nothing") == ([], {})


def test_a_part_says_nothing_until_it_is_whole(tmp_path, monkeypatch):
    store = Store(str(tmp_path))
    writes = []
    write_lines = Store.write_lines

    def stops(self, name, lines):
        if name.count("/") == 3:
            writes.append(name)
            raise KeyboardInterrupt
        write_lines(self, name, lines)

    monkeypatch.setattr(Store, "write_lines", stops)
    write = (store, "collection", COVERS, collect(column(1, 2)))
    with pytest.raises(KeyboardInterrupt):
        write_samples(*write)
    monkeypatch.undo()
    found, damaged = find_samples(store, "collection")
    assert not found
    assert list(damaged.values()) == [""]  # named, to be deleted without a word
    write_samples(*write)
    assert len(find_samples(store, "collection")[0]) == 1


def test_every_flipped_bit_is_found_or_does_no_harm(tmp_path):
    store, collected = Store(str(tmp_path)), collect(np.arange(600, dtype="u2").reshape(-1, 2))
    write_samples(store, "collection", COVERS, collected)
    rng = np.random.default_rng(3)
    files = [p for p in Path(tmp_path, SAMPLES, "collection").rglob("*") if p.is_file()]
    for path in files:
        whole, found = path.read_bytes(), 0
        for _ in range(40):
            data = bytearray(whole)
            data[rng.integers(len(data))] ^= 1 << rng.integers(8)
            path.write_bytes(data)
            parts, damaged = find_samples(store, "collection")
            try:
                for part in parts:
                    equal(read_samples(store, part), collected)
            except ResultError as error:
                found += 1
                assert "samples.zarr" in str(error)  # noqa: PT017
            found += len(damaged)
        path.write_bytes(whole)
        if path.name != "zarr.json":
            assert found == 40, "a damaged object was taken for a whole one"
        elif path.parent.parent.name == "collection":
            assert found > 30


def test_zarr_itself_reads_the_table(tmp_path):
    import zarr

    again(Store(str(tmp_path)), collect(column(7, 7, 9)))
    root = zarr.open_group(Path(tmp_path, SAMPLES), mode="r")
    (part,) = root["collection"].groups()
    assert part[1]["vectors"][...].tolist() == [[7, 9]]
    assert part[1]["counts"][...].tolist() == [2, 1]
