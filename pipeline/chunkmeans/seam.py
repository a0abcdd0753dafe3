"""A seam: its members by name, a line each of our own, entry points of other packages."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from inspect import isabstract, isclass
from typing import Any, Generic, TypeVar

from chunkmeans.errors import ConfigError

MemberT = TypeVar("MemberT")


@dataclass(frozen=True)
class Seam(Generic[MemberT]):
    """Its classes; none is imported before it is asked for."""

    what: str
    """What one is, in messages: ``exporter``."""
    base: type[Any]
    """What each is a subclass of."""
    own: Mapping[str, str]
    """``module:class`` by name. A name of ours stays ours."""
    groups: tuple[str, ...]
    """Groups of entry points whose names and values are the same."""
    where: str = ""
    """Key of the config that names one, for messages."""

    def names(self) -> tuple[str, ...]:
        """Return all names, our own first."""
        return tuple(self._points())

    def load(self, name: str) -> type[MemberT]:
        """Import the class of a name.

        Raises
        ------
        ConfigError
            If there is none of that name, it cannot be imported, or it is no complete subclass of
            what it should be.
        """
        # ours are known without reading what each installed package says of itself
        points = self._own_points() if name in self.own else self._points()
        if name not in points:
            near = get_close_matches(name, points, n=1)
            known = f"known are {', '.join(points)}" if points else "none is installed"
            hint = f"did you mean {near[0]}?" if near else known
            raise ConfigError(f"{self._at}there is no {self.what} {name!r}; {hint}")
        described = f"{self._at}the {self.what} {points[name].value!r} for {name!r}"
        try:
            found = points[name].load()
        except Exception as error:  # whatever the import of another package raises
            raise ConfigError(f"{described} cannot be imported: {error}") from error
        check_member(found, self.base, described)
        member: type[MemberT] = found
        return member

    @property
    def _at(self) -> str:
        return f"{self.where}: " if self.where else ""

    def _own_points(self) -> dict[str, EntryPoint]:
        return {name: EntryPoint(name, at, self.groups[0]) for name, at in self.own.items()}

    def _points(self) -> dict[str, EntryPoint]:
        points = self._own_points()
        for group in self.groups:
            for point in entry_points(group=group):
                points.setdefault(point.name, point)
        return points


def check_member(found: object, base: type[Any], described: str) -> None:
    """Refuse what is no subclass of `base`, or one that lacks something of it.

    Parameters
    ----------
    described
        What it is and where it comes from, for the message.

    Raises
    ------
    ConfigError
        Naming what is missing.
    """
    place = f"{base.__module__}.{base.__qualname__}"
    if not (isclass(found) and issubclass(found, base)):
        raise ConfigError(f"{described} is not a subclass of {place}; its author has to mend that")
    if isabstract(found):
        missing = ", ".join(sorted(getattr(found, "__abstractmethods__")))  # noqa: B009
        raise ConfigError(f"{described} lacks {missing} of {place}; its author has to mend that")
