import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from chunkmeans.errors import ResultError
from chunkmeans.results.read.catalog import (
    COLUMNS,
    STATES,
    Row,
    read_catalog,
    write_catalog,
    write_labels_table,
)
from chunkmeans.results.store.store import Store
from hypothesis import given
from hypothesis import strategies as st

texts = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["=1+1", 'a"b', "a,b", "a\nb", "a\rb", "a\r\nb", " ", "größe\udc80"]
)
whole = st.none() | st.integers(0, 2**63)
real = st.none() | st.floats(allow_nan=False)
numbers = st.floats(allow_nan=False)
rows = st.builds(
    Row,
    id=texts,
    source=texts,
    state=st.sampled_from(STATES),
    reason=texts,
    shape=st.lists(st.integers(1, 10**6), max_size=4).map(tuple),
    k=whole,
    iterations=whole,
    residual=real,
    inertia=real,
    pixels=whole,
    nodata=whole,
    seconds=real,
    store=texts,
    fractions=st.lists(numbers, max_size=3).map(tuple),
    means=st.lists(st.lists(numbers, max_size=3).map(tuple), max_size=3).map(tuple),
    fingerprint=texts,
    duplicate_of=texts,
    choice=texts,
    extra=st.dictionaries(
        texts.filter(lambda name: name not in COLUMNS), texts.filter(bool), max_size=3
    ),
)


def text_of(table):
    """Return the text of a catalogue."""
    return written(write_catalog, table, "catalog.csv")


def written(write, table, name):
    """Return the text of the file of this name that `write` writes."""
    with TemporaryDirectory() as folder:
        write(Store(folder), table)
        return Path(folder, name).read_bytes().decode("utf-8", "surrogateescape")


def rows_of(text):
    """Return the rows that are read of a catalogue's text."""
    with TemporaryDirectory() as folder:
        Path(folder, "catalog.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
        return read_catalog(Store(folder))


@given(st.lists(rows, max_size=5))
def test_rows_are_read_as_they_were_written_in_their_order(table):
    assert rows_of(text_of(table)) == table


def test_a_catalogue_is_read_from_where_it_was_written(any_store):
    table = [Row("b", "b.tif", "done", shape=(3, 4), k=4), Row("a", "\udc80.tif", "failed", "why")]
    write_catalog(any_store, table)
    assert read_catalog(any_store) == table
    assert any_store.files() == ["catalog.csv"]


def test_a_catalogue_is_plain_csv():
    text = text_of([Row("a", "a,b.tif", "done", shape=(3, 4), residual=0.1)])
    assert text.splitlines() == [
        "id,source,state,reason,shape,k,iterations,residual,inertia,pixels,nodata,seconds,store,"
        "fractions,means,fingerprint,duplicate_of,choice",
        'a,"a,b.tif",done,,3x4,,,0.1,,,,,,,,,,',
    ]


def test_columns_of_a_manifest_come_last_as_they_first_occur():
    table = [
        Row("a", "a", "done", extra={"site": "north", "day": "1"}),
        Row("b", "b", "done", extra={"lens": "10x"}),
    ]
    header, *lines = csv.reader(io.StringIO(text_of(table)))
    assert header == [*COLUMNS, "site", "day", "lens"]
    assert [line[-3:] for line in lines] == [["north", "1", ""], ["", "", "10x"]]


def test_an_unknown_state_is_refused():
    with pytest.raises(ValueError, match="'lost' is not a state; done, warned, failed, skipped"):
        Row("a", "a", "lost")


HEADER = ",".join(COLUMNS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column 'id'"),
        ("a,b\n1,2\n", "has no column 'id'"),
        ("\ufeff" + ";".join(COLUMNS) + "\n", "has no column 'id'; .*a spreadsheet saved it"),
        (f"{HEADER}\na,b\n", r"catalog\.csv:2: cannot be understood"),
        (f"{HEADER}\na,b,done,,3x4,four,,,,,,,,,,,,\n", "catalog.csv:2: .*'four'"),
        (f"{HEADER}\na,b,lost,,,,,,,,,,,,,,,\n", "'lost' is not a state"),
        (f'{HEADER}\n"a', "cannot be understood"),
    ],
)
def test_a_damaged_catalogue_is_an_error_that_names_the_line(text, message):
    with pytest.raises(ResultError, match=message) as refused:
        rows_of(text)
    assert "delete this file and start the run again" in str(refused.value)


def test_a_very_long_reason_is_no_obstacle():
    table = [Row("a", "a", "failed", "x" * 300_000)]
    assert rows_of(text_of(table)) == table


# -- labels.csv -----------------------------------------------------------------------------------


GREY = Row("a", "a.png", "done", pixels=6, nodata=2, fractions=(0.5, 0.25), means=((1.5,), (9.0,)))
COLOUR = Row(
    "b,c", "b.png", "done", pixels=3, nodata=0, fractions=(1.0, 0.0), means=((1.0, 2.0), ())
)


def test_each_label_of_each_image_is_a_row():
    table = [GREY, COLOUR, Row("d", "d.png", "failed", "why")]
    assert written(write_labels_table, table, "labels.csv").splitlines(keepends=True) == [
        "id,label,pixels,fraction,mean_0,mean_1\n",
        "a,1,4,0.5,1.5,\n",
        "a,2,2,0.25,9.0,\n",
        '"b,c",1,3,1.0,1.0,2.0\n',
        '"b,c",2,0,0.0,,\n',
    ]


def test_images_are_found_by_what_they_show(any_store):
    write_labels_table(any_store, [GREY, COLOUR])
    table = csv.DictReader(io.StringIO(any_store.read_text("labels.csv")))
    found = [row["id"] for row in table if row["label"] == "2" and float(row["fraction"]) > 0.2]
    assert found == ["a"]


@given(st.integers(1, 2**50), st.data())
def test_fractions_tell_the_pixels_exactly(size, data):
    count = data.draw(st.integers(0, size))
    row = Row("a", "a", "done", pixels=size, nodata=0, fractions=(count / size,), means=((0.0,),))
    line = written(write_labels_table, [row], "labels.csv").splitlines()[1]
    assert line.split(",")[2] == str(count)
