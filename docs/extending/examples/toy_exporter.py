"""A toy exporter: labels as text, a line per row of pixels and a number per pixel."""

from pathlib import Path

from chunkmeans.errors import ResultError
from chunkmeans.results.export import Exporter, LabelView


class ToyExporter(Exporter):
    """Portable graymap in its plain form, which any text editor shows."""

    name = "toy"
    suffix = ".pgm"

    def export(self, labels: LabelView, destination: Path) -> None:
        """Write one plane, row by row."""
        height, width = labels.shape
        if width > 10_000:
            raise ResultError(f"{labels.image.path}: rows of {width:,} pixels are no toy")
        with destination.open("x") as file:
            file.write(f"P2\n{width} {height}\n{max(1, labels.k)}\n")
            for _box, piece in labels.pieces():
                for row in piece:
                    file.write(" ".join(map(str, row)) + "\n")
