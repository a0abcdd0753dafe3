"""The exporters: a line each, imported when one is asked for.

Another package adds one by an entry point of the group ``chunkmeans.exporters``, whose name is the
word after ``--to`` and whose value is a class. Installed ones come before our own.
"""

from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points

from chunkmeans.errors import ConfigError
from chunkmeans.results.export.base import Exporter

EXPORTERS = {
    "png": "chunkmeans.results.export.png:PngExporter",
}
"""Module and class by name."""
_GROUP = "chunkmeans.exporters"


def exporter_named(name: str) -> Exporter:
    """Return the exporter `name`.

    Raises
    ------
    ConfigError
        If there is none, or it cannot be imported.
    """
    own = [EntryPoint(word, place, _GROUP) for word, place in EXPORTERS.items()]
    points = {point.name: point for point in (*own, *entry_points(group=_GROUP))}
    if name not in points:
        near = get_close_matches(name, points, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(points))}"
        raise ConfigError(f"there is no exporter {name!r}; {hint}")
    try:
        exporter: Exporter = points[name].load()()
    except Exception as error:  # whatever a foreign module does when it is imported
        raise ConfigError(
            f"the exporter {points[name].value!r} for {name!r} cannot be imported: {error}"
        ) from error
    return exporter
