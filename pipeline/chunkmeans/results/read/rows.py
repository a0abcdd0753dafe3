"""Rows of a catalogue in little memory: a run may have a million of them."""

import pickle
from collections import UserDict
from collections.abc import Collection, Iterable
from dataclasses import fields
from operator import attrgetter
from typing import Any

from chunkmeans.results.read.catalog import Row

_FIELDS = tuple(f.name for f in fields(Row) if f.name != "id")
_values: Any = attrgetter(*_FIELDS)


class Rows(UserDict[str, Row]):
    """Rows by id, packed: as objects they take four times the bytes.

    Parameters
    ----------
    rows
        With ids that differ.
    """

    data: dict[str, Any]

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        super().__init__((row.id, row) for row in rows)

    def __getitem__(self, name: str) -> Row:
        return Row(name, *pickle.loads(self.data[name]))

    def __setitem__(self, name: str, row: Row) -> None:
        self.data[name] = pickle.dumps(_values(row), pickle.HIGHEST_PROTOCOL)

    def listed(self, names: Iterable[str]) -> Collection[Row]:
        """Return the rows of these ids, in their order, each unpacked when it is looked at."""
        ordered = Rows()
        ordered.data = {name: self.data[name] for name in names}
        return ordered.values()
