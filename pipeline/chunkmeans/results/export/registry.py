"""The exporters: a line each, imported when one is asked for.

Another package adds one by an entry point of the group ``chunkmeans.exporters``, whose name is the
word after ``--to`` and whose value is a class.
"""

from chunkmeans.results.export.base import Exporter
from chunkmeans.seam import Seam

EXPORTERS = Seam[Exporter](
    "exporter",
    Exporter,
    {"png": "chunkmeans.results.export.png:PngExporter"},
    ("chunkmeans.exporters",),
)
"""Module and class by name; those of other packages included."""


def exporter_named(name: str) -> Exporter:
    """Return the exporter `name`.

    Raises
    ------
    ConfigError
        If there is none, it cannot be imported, or it is no `Exporter`.
    """
    return EXPORTERS.load(name)()
