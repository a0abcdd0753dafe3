"""The example of docs/extending/source.md: it conforms, and its entry point is all it takes."""

import re
from pathlib import Path

import numpy as np
import pytest
from chunkmeans import segment
from chunkmeans.errors import SourceError
from chunkmeans.sources import ReadOptions, collect_entries, open_image, registry
from chunkmeans.testing import FileSourceTests

DOCS = Path(__file__).parents[2] / "docs/extending"
EXAMPLES = DOCS / "examples"


@pytest.fixture(autouse=True)
def installed(tmp_path_factory, monkeypatch):
    """Install the toy source as another package would be."""
    site = tmp_path_factory.mktemp("site")
    (site / "toy-1.dist-info").mkdir()
    (site / "toy-1.dist-info/METADATA").write_text("Name: toy\nVersion: 1\n")
    page = (DOCS / "source.md").read_text()
    (lines,) = re.findall(r'entry-points\."(chunkmeans\.sources)"\]\n(.*?)```', page, re.DOTALL)
    points = lines[1].replace('"', "")
    (site / "toy-1.dist-info/entry_points.txt").write_text(f"[{lines[0]}]\n{points}")
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.syspath_prepend(site)
    registry._installed.cache_clear()
    yield
    registry._installed.cache_clear()


def write(path, values):
    path.write_bytes(b"TOY %d %d %d\n" % values.shape + values.tobytes())
    return str(path)


class TestToy(FileSourceTests):
    channels = 3

    def write(self, folder, values):
        return write(folder / "picture.toy", values)


class TestGreyToy(TestToy):
    channels = 1


def test_the_page_shows_the_example_and_how_it_is_tested():
    page = (DOCS / "source.md").read_text()
    assert '--8<-- "docs/extending/examples/toy_source.py"' in page
    assert 'path.write_bytes(b"TOY %d %d %d\\n" % values.shape + values.tobytes())' in page
    methods = set(re.findall(r"    def ([a-z]\w*)", (EXAMPLES / "toy_source.py").read_text()))
    assert methods == {"describe", "decode"}


@pytest.fixture
def picture():
    return np.where(np.arange(600).reshape(20, 30, 1) % 30 < 15, 10, 200).astype("u1")


def test_its_files_are_found_and_segmented_with_a_mask_and_a_region(tmp_path, picture):
    path = write(tmp_path / "a.toy", picture)
    assert [entry.path for entry in collect_entries([str(tmp_path)])] == [path]
    mask = np.ones((20, 30, 1), "u1")
    mask[0] = 0
    masked = write(tmp_path / "mask.toy", mask)
    found = segment(path, 2, mask=masked, region=["0:10", "10:20"]).labels
    assert found.tolist() == [[0] * 10] + [[1] * 5 + [2] * 5] * 9


def test_options_that_it_has_no_use_for_are_refused(tmp_path, picture):
    path = write(tmp_path / "a.toy", picture)
    for name in ("level", "series"):
        with pytest.raises(SourceError, match=rf"a\.toy.*images\.{name} is 1.*has no {name}"):
            _ = open_image(path, ReadOptions(**{name: 1})).info


def test_its_scheme_is_opened_by_it():
    assert type(open_image("toyserver://here/7")).__name__ == "ToyImage"


def test_a_file_of_another_kind_is_refused_by_name(tmp_path):
    (tmp_path / "a.toy").write_bytes(b"PNG 1 2 3\n")
    with pytest.raises(SourceError, match=r"a\.toy: cannot be opened: begins with b'PNG 1 2 3"):
        _ = open_image(str(tmp_path / "a.toy")).info
