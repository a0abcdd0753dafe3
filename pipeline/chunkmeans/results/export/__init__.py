"""Results in the formats of other programs: a seam, its members, and the export itself."""

from chunkmeans.results.export.base import Exporter, LabelView
from chunkmeans.results.export.images import Exported, export_images

__all__ = ["Exported", "Exporter", "LabelView", "export_images"]
