"""The exporters: a line each, imported when one is asked for.

Another package adds one by an entry point of the group ``chunkmeans.exporters``, whose name is the
word after ``--to`` and whose value is a class. Installed ones come before our own.
"""

from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points

from chunkmeans.errors import ConfigError
from chunkmeans.results.export.base import Exporter

EXPORTERS = {
    "png": "chunkmeans.results.export.png:PngExporter",
}
"""Module and class by name."""


def exporter_named(name: str) -> Exporter:
    """Return the exporter `name`.

    Raises
    ------
    ConfigError
        If there is none, or an installed one cannot be imported.
    """
    installed = {point.name: point for point in entry_points(group="chunkmeans.exporters")}
    if name in installed:
        try:
            added: Exporter = installed[name].load()()
        except Exception as error:  # whatever a foreign module does when it is imported
            raise ConfigError(
                f"the installed exporter {installed[name].value!r} for {name!r} cannot be "
                f"imported: {error}"
            ) from error
        return added
    if name not in EXPORTERS:
        known = sorted({*EXPORTERS, *installed})
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        raise ConfigError(f"there is no exporter {name!r}; {hint}")
    module, _, kind = EXPORTERS[name].partition(":")
    own: Exporter = getattr(import_module(module), kind)()
    return own
