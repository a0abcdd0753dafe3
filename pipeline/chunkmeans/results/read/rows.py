"""Rows of a catalogue in little memory: a run may have a million of them."""

import pickle
from collections import UserDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
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
        super().__init__()
        for row in rows:
            self[row.id] = row

    def __getitem__(self, name: str) -> Row:
        return Row(name, *pickle.loads(self.data[name]))

    def __setitem__(self, name: str, row: Row) -> None:
        self.data[name] = pickle.dumps(_values(row), pickle.HIGHEST_PROTOCOL)

    def listed(self, names: Sequence[str]) -> Sequence[Row]:
        """Return the rows of these ids, in their order."""
        return _InOrder(names, self)


@dataclass(frozen=True, slots=True)
class _InOrder(Sequence[Row]):
    """Some rows in an order, each unpacked when it is looked at."""

    names: Sequence[str]
    rows: Rows

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self.rows[name] for name in self.names[at]]
        return self.rows[self.names[at]]

    def __len__(self) -> int:
        return len(self.names)
