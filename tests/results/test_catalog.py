import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ResultError
from pipeline.results.catalog import (
    COLUMNS,
    STATES,
    Row,
    catalog_rows,
    catalog_text,
    read_catalog,
    write_catalog,
)

texts = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["=1+1", 'a"b', "a,b", "a\nb", "a\rb", "a\r\nb", " ", "größe\udc80"]
)
whole = st.none() | st.integers(0, 2**63)
real = st.none() | st.floats(allow_nan=False)
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
    extra=st.dictionaries(
        texts.filter(lambda name: name not in COLUMNS), texts.filter(bool), max_size=3
    ),
)


@given(st.lists(rows, max_size=5))
def test_rows_are_read_as_they_were_written_in_their_order(table):
    assert catalog_rows(catalog_text(table), "catalog.csv") == table


def test_a_catalogue_is_read_from_where_it_was_written(any_store):
    table = [Row("b", "b.tif", "done", shape=(3, 4), k=4), Row("a", "\udc80.tif", "failed", "why")]
    write_catalog(any_store, table)
    assert read_catalog(any_store) == table
    assert any_store.files() == ["catalog.csv"]


def test_a_catalogue_is_plain_csv():
    text = catalog_text([Row("a", "a,b.tif", "done", shape=(3, 4), residual=0.1)])
    assert text.splitlines() == [
        "id,source,state,reason,shape,k,iterations,residual,inertia,pixels,nodata,seconds,store",
        'a,"a,b.tif",done,,3x4,,,0.1,,,,,',
    ]


def test_columns_of_a_manifest_come_last_as_they_first_occur():
    table = [
        Row("a", "a", "done", extra={"site": "north", "day": "1"}),
        Row("b", "b", "done", extra={"lens": "10x"}),
    ]
    header, *lines = csv.reader(io.StringIO(catalog_text(table)))
    assert header == [*COLUMNS, "site", "day", "lens"]
    assert [line[-3:] for line in lines] == [["north", "1", ""], ["", "", "10x"]]


def test_a_column_may_not_take_the_name_of_another():
    with pytest.raises(ValueError, match="may not be named state"):
        catalog_text([Row("a", "a", "done", extra={"state": "x"})])


def test_an_unknown_state_is_refused():
    with pytest.raises(ValueError, match="'lost' is not a state; done, warned, failed, skipped"):
        Row("a", "a", "lost")


HEADER = ",".join(COLUMNS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column 'id'"),
        ("a,b\n1,2\n", "has no column 'id'"),
        (f"{HEADER}\na,b\n", r"catalog\.csv:2: cannot be understood"),
        (f"{HEADER}\na,b,done,,3x4,four,,,,,,,\n", "catalog.csv:2: .*'four'"),
        (f"{HEADER}\na,b,lost,,,,,,,,,,\n", "'lost' is not a state"),
        (f'{HEADER}\n"a', "cannot be understood"),
    ],
)
def test_a_damaged_catalogue_is_an_error_that_names_the_line(text, message):
    with pytest.raises(ResultError, match=message):
        catalog_rows(text, "catalog.csv")


def test_a_very_long_reason_is_no_obstacle():
    table = [Row("a", "a", "failed", "x" * 300_000)]
    assert catalog_rows(catalog_text(table), "catalog.csv") == table
