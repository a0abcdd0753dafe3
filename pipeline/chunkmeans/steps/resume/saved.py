"""What a run that the whole engine works on leaves for the next one, besides its results.

The means and the history of a running fit, and what was collected of its pixels: a run that was
killed resumes with both, another one with the same images begins with the latter.
"""

import re
from collections.abc import Iterable
from dataclasses import asdict

from chunkmeans.errors import ResultError
from chunkmeans.events import Note, Watcher
from chunkmeans.kmeans.fit import FitSettings
from chunkmeans.kmeans.progress import Progress
from chunkmeans.results.models.fits import fit_path, read_fit, write_fit
from chunkmeans.results.models.samples import samples_path
from chunkmeans.results.read.record import content_mark
from chunkmeans.results.store.pace import SavePace
from chunkmeans.results.store.store import FITS, SAMPLES, Store, path_of
from chunkmeans.steps.resume.saved_samples import SavedSamples

SECONDS_BETWEEN_FITS = 1.0
"""Between two saves of a fit, at least; the first comes as late too."""
GROUPS, IMAGES = "groups", "images"


def subject_of(group: str | None) -> str:
    """Return the subject of the fit that images of a group share; None: of all images."""
    return "collection" if group is None else f"{GROUPS}/{path_of(group)}"


def subject_of_image(image: str) -> str:
    """Return the subject of an image's own fit."""
    return f"{IMAGES}/{path_of(image)}"


def is_fit(name: str) -> bool:
    """Whether a file of this name in ``fits/`` is one of a subject."""
    one = r"\w*-[0-9a-f]{16}"
    return re.fullmatch(rf"(collection|({GROUPS}|{IMAGES})/{one})\.json", name) is not None


class SavedFit:
    """How far the fit of a subject is, in the output.

    Parameters
    ----------
    store
        The output.
    subject
        What the fit is of.
    name
        Names the fit: the same text, the same samples and settings.
    watch
        Gets a note of where the fit resumes.
    """

    def __init__(self, store: Store, subject: str, name: str, watch: Watcher) -> None:
        self.store, self.subject, self.name, self.watch = store, subject, name, watch
        self._pace = SavePace(SECONDS_BETWEEN_FITS)

    def found(self) -> Progress | None:
        """Return how far a run before came; None if it did not, or its file is damaged."""
        try:
            progress = read_fit(self.store, self.subject, self.name)
        except ResultError as error:
            self.watch(Note(f"{error}; the fit starts again", "warning"))
            return None
        if progress is not None:
            begun = f"iteration {len(progress.running)} of start {len(progress.starts) + 1}"
            done = f"{len(progress.starts)} start{'s' * (len(progress.starts) != 1)} done"
            self.watch(Note(f"the fit resumes after {begun if len(progress.running) else done}"))
        return progress

    def keep(self, progress: Progress) -> None:
        """Save how far the fit is, as often as that takes a twentieth of the time at most.

        Raises
        ------
        ResultError
            If the output cannot be written.
        """
        if self._pace.due:
            with self._pace.saving():
                write_fit(self.store, self.subject, self.name, progress)


class Saved(SavedSamples):
    """What the output has of one subject: the collection, a group, or a huge image."""

    def fit(self, settings: FitSettings) -> SavedFit:
        """Return the fit of all that is recalled."""
        name = content_mark([asdict(settings), self.marks])
        return SavedFit(self.store, self.subject, name, self.watch)

    def finish(self, *, samples: bool) -> None:
        """Delete what is of no use once the subject is done; `samples` are kept on demand."""
        self.store.delete(fit_path(self.subject))
        if not samples:
            self.store.delete(samples_path(self.subject))


def sweep(store: Store, subjects: Iterable[str]) -> None:
    """Delete what is saved of other subjects, and what a killed run left half written."""
    if not (store.exists(SAMPLES) or store.exists(FITS)):
        return
    named = {GROUPS, IMAGES, *subjects}
    for folder in ("", GROUPS, IMAGES):
        for root, suffix in ((SAMPLES, ""), (FITS, ".json")):
            inside = f"{root}/{folder}".rstrip("/")
            store.sweep(inside)
            for name in store.names(inside):
                subject = f"{folder}/{name.removesuffix(suffix)}".lstrip("/")
                path = f"{inside}/{name}"
                is_folder = store.is_folder(path)
                ours = is_folder if root == SAMPLES else is_fit(f"{folder}/{name}".lstrip("/"))
                if ours and subject not in named:
                    store.delete(path)
