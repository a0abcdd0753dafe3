"""Rows of a catalogue in little memory: a run may have a million of them."""

import pickle
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from chunkmeans.results.read.catalog import Row

_FIELDS = tuple(f.name for f in fields(Row) if f.name != "id")
_values: Any = attrgetter(*_FIELDS)


class Rows(MutableMapping[str, Row]):
    """Rows by id, packed: as objects they take four times the bytes.

    Parameters
    ----------
    rows
        With ids that differ.
    """

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._packed: dict[str, bytes] = {}
        for row in rows:
            self[row.id] = row

    def __getitem__(self, name: str) -> Row:
        return Row(name, *pickle.loads(self._packed[name]))

    def __setitem__(self, name: str, row: Row) -> None:
        self._packed[name] = pickle.dumps(_values(row), pickle.HIGHEST_PROTOCOL)

    def __delitem__(self, name: str) -> None:
        del self._packed[name]

    def __contains__(self, name: object) -> bool:
        return name in self._packed

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)

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
