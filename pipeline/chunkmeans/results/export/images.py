"""Exports images of a run: which of them, to which files, and what is left of an earlier export."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from chunkmeans.errors import ConfigError, ResultError
from chunkmeans.results.export.base import Exporter, LabelView, label_view
from chunkmeans.results.export.registry import EXPORTERS
from chunkmeans.results.read.open_results import Run
from chunkmeans.results.store.local_files import replacing, sync_path


@dataclass(frozen=True)
class Exported:
    """What became of one file, or of an image that has none."""

    image: str
    """Id of the image."""
    state: str
    """``written``, ``skipped`` (an earlier export wrote it) or ``failed``."""
    path: str = ""
    """The file; "" where the image failed."""
    reason: str = ""
    """Why it failed."""


def export_images(
    run: Run,
    images: Sequence[str],
    to: str,
    folder: str,
    level: int = 0,
    *,
    overwrite: bool = False,
) -> Iterator[Exported]:
    """Export images one after another; yields each file once it is whole.

    Parameters
    ----------
    run
        From `open_run`.
    images
        Ids; none: all images that have labels.
    to
        Name of the exporter.
    folder
        Local folder of the files, ``<id><suffix>``; a volume in a format of planes gives
        ``<id>_z<index><suffix>`` each, and a level above 0 ``<id>_level<n><suffix>``.
    level
        Of the pyramids; 0 is the full image.
    overwrite
        Whether files that are there already are written anew.

    Raises
    ------
    ConfigError
        If there is no such exporter or image; before anything is written.
    ResultError
        If the catalogue of the run cannot be read.
    OSError
        If a file cannot be written.
    """
    exporter = EXPORTERS.load(to)()
    known = dict.fromkeys(run.images)
    for image in images:
        if image not in known:
            near = get_close_matches(image, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "its ids are in catalog.csv"
            raise ConfigError(f"{run.store.path}: has no labels of an image {image!r}; {hint}")
    for image in dict.fromkeys(images or known):
        try:
            for path, labels in _files(run, image, exporter, Path(folder), level):
                skipped = path.exists() and not overwrite
                if not skipped:
                    _write(exporter, labels, path)
                yield Exported(image, "skipped" if skipped else "written", str(path))
        except ResultError as error:  # the others may be whole
            yield Exported(image, "failed", reason=str(error))


def _files(
    run: Run, image: str, exporter: Exporter, folder: Path, level: int
) -> Iterator[tuple[Path, LabelView]]:
    """Yield each file of an image and what it shall hold."""
    opened = run.images[image]
    opened.check()  # what is missing would be exported as "no data"
    whole = label_view(opened, level)
    name = f"{image}_level{level}" if level else image
    for ending, labels in whole.planes() if exporter.planes else [("", whole)]:
        yield folder / f"{name}{ending}{exporter.suffix}", labels


def _write(exporter: Exporter, labels: LabelView, path: Path) -> None:
    """Write a file under a temporary name and rename it: a file of its own name is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(str(path)) as temporary:
        exporter.export(labels, Path(temporary))
        sync_path(temporary)
