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
