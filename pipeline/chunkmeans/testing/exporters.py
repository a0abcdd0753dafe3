"""What every exporter keeps to, as tests to inherit."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from chunkmeans.errors import ResultError
from chunkmeans.kmeans.model import Model, Start
from chunkmeans.results.export.base import Exporter, LabelView
from chunkmeans.results.read.open_results import SegmentedImage
from chunkmeans.results.store.store import Store

SHAPES = [(1, 1), (5, 7), (60, 33), (3, 20, 30), (2, 3, 9, 8)]
"""Pixels along each axis: pictures of one pixel and more, a volume, and a film of volumes."""


class ExporterTests:
    """Inherit, give the fixture `exporter`, and `read_labels` if the format can be read again."""

    @pytest.fixture
    def exporter(self) -> Exporter:
        """Return the exporter under test; to be overridden."""
        raise NotImplementedError("a class of tests gives the fixture exporter")

    def read_labels(self, path: Path) -> NDArray[Any] | None:
        """Return the labels that a file holds, in their shape; None: they are not compared."""
        return None

    def test_it_has_a_name_and_a_suffix(self, exporter: Exporter) -> None:
        """The name is a word of the command line."""
        assert exporter.name
        assert exporter.name == exporter.name.strip().lower()
        assert exporter.suffix.startswith(".")

    @pytest.mark.parametrize("k", [1, 255, 300])
    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    def test_a_file_holds_the_labels(
        self, exporter: Exporter, shape: tuple[int, ...], k: int, tmp_path: Path
    ) -> None:
        """Of one byte and of two, in pictures, volumes and films."""
        view = label_example(shape, k)
        views = [plane for _, plane in view.planes()] if exporter.planes else [view]
        for number, each in enumerate(views):
            file = tmp_path / f"{number}{exporter.suffix}"
            exporter.export(each, file)
            assert file.stat().st_size > 0
            read = self.read_labels(file)
            if read is not None:
                np.testing.assert_array_equal(read, each.array[each.plane or ...])

    def test_pieces_of_any_size_give_the_same_bytes(
        self, exporter: Exporter, tmp_path: Path
    ) -> None:
        """What is written does not depend on how much is read at a time, nor on the time."""
        view = label_example((60, 33))
        written = []
        for size in (1, 100, 2**26):
            file = tmp_path / f"{size}{exporter.suffix}"
            exporter.export(replace(view, piece_bytes=size), file)
            written.append(file.read_bytes())
        assert len(set(written)) == 1

    def test_labels_are_read_by_pieces(self, exporter: Exporter, tmp_path: Path) -> None:
        """An image may be larger than memory."""
        view = replace(label_example((60, 33)), piece_bytes=33 * 4)
        exporter.export(view, tmp_path / f"a{exporter.suffix}")
        reads = cast("_Stored", view.array).reads
        assert sum(reads) >= 60 * 33
        assert max(reads) <= 33 * 4

    def test_labels_that_cannot_be_read_are_an_error(
        self, exporter: Exporter, tmp_path: Path
    ) -> None:
        """A file that is not whole must not be taken for one."""
        view = label_example((60, 33))
        cast("_Stored", view.array).broken = True
        with pytest.raises(ResultError, match="damaged"):
            exporter.export(view, tmp_path / f"a{exporter.suffix}")


@dataclass
class _Stored:
    """Stands in for a zarr array; keeps how many pixels each read took."""

    labels: NDArray[Any]
    broken: bool = False
    reads: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shape, self.dtype = self.labels.shape, self.labels.dtype
        self.chunks = tuple(min(4, size) for size in self.shape)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        if self.broken:
            raise RuntimeError("a chunk does not decode")
        part: NDArray[Any] = self.labels[index]
        self.reads.append(part.size)
        return part


def label_example(shape: tuple[int, ...], k: int = 3) -> LabelView:
    """Return labels 0 to `k` of an image that is stored nowhere, in colours of their own."""
    rng = np.random.default_rng(k)
    labels = rng.integers(0, k + 1, shape).astype(np.uint8 if k <= 255 else np.uint16)
    colours = rng.integers(0, 256, (k + 1, 4)).astype(np.uint8)
    colours[:, 3] = [0] + k * [255]
    model = Model(
        means=np.linspace(0.0, 255.0, k)[:, np.newaxis],
        order=np.arange(k),
        weights=np.ones(1),
        counts=np.bincount(labels.ravel(), minlength=k + 1)[1:],
        deviations=np.ones((k, 1)),
        inertia=1.0,
        converged=True,
        residuals=np.zeros(1),
        inertias=np.ones(1),
        history=np.zeros((1, k), np.int64),
        starts=(Start(1.0, 1, 0.0, True),),
        best=0,
    )
    attributes = {
        "complete": True,
        "image": {
            "axes": "tzyx"[-len(shape) :],
            "shape": list(shape),
            "dtype": "uint8",
            "channel_names": [],
            "mean_image": False,
        },
        "source": {"path": "example.tif"},
        "model": model.to_dict(),
    }
    image = SegmentedImage(Store("memory://example"), "example.ome.zarr", attributes, 1)
    return LabelView(image, 0, colours, cast("Any", _Stored(labels)))
