"""Whose an output is: of an earlier run that is gone on with, of another one, or of nobody."""

from collections.abc import Mapping

from chunkmeans.errors import ResultError
from chunkmeans.results.read.record import RunRecord, clash, fingerprint, read_record
from chunkmeans.results.store.local_files import PARTIAL
from chunkmeans.results.store.log import is_log
from chunkmeans.results.store.store import (
    CATALOG,
    FITS,
    IMAGES,
    LABELS,
    LOGS,
    MODEL,
    RECORD,
    Store,
)
from chunkmeans.steps.resume.saved import is_fit


def clear(store: Store) -> None:
    """Delete what a run writes, and nothing else; its record last, as it says whose this is.

    Tables of pixels stay: they are of the images alone, not of the settings. So does what somebody
    else put beside our logs and fits.
    """
    for name in (CATALOG, LABELS, MODEL, IMAGES):
        store.delete(name)
    for folder, ours in ((FITS, is_fit), (LOGS, is_log)):
        files = store.files(folder)
        found = [file for file in files if ours(file) or file.endswith(PARTIAL)]
        for name in [folder] if found == files else [f"{folder}/{file}" for file in found]:
            store.delete(name)
    store.delete(RECORD)


def earlier(store: Store) -> RunRecord | None:
    """Return the record of an earlier run; None where there is nothing of one.

    Raises
    ------
    ResultError
        If the output holds something else, which a run would write into, or delete.
    """
    if store.exists(RECORD):
        return read_record(store)
    names = (CATALOG, LABELS, MODEL, FITS, IMAGES, LOGS)
    foreign = [name for name in names if _foreign(store, name)]
    if foreign:
        raise ResultError(
            f"{store.path}: holds {' and '.join(map(repr, foreign))} but no {RECORD}, so it is no "
            "output of chunkmeans; choose another results.path"
        )
    return None


def _foreign(store: Store, name: str) -> bool:
    """Whether there is something that no run put there, or left without its record.

    A run begins with its record, and one that overwrites deletes all but the tables of pixels
    before (which are as good as none where they are damaged), so it leaves nothing else without
    one when it is killed.
    """
    if not store.exists(name):
        return False
    if not store.is_folder(name):
        return True
    return not all(file.endswith(PARTIAL) for file in store.files(name))  # an empty folder is none


def refuse_other(store: Store, settings: Mapping[str, object]) -> RunRecord | None:
    """Return the record of an earlier run, if it may be gone on with; None where there is none.

    Raises
    ------
    ResultError
        If the output holds results of other settings, naming what changed, or of another version
        of the algorithm, or something else.
    """
    before = earlier(store)
    if before is None:
        return None
    changed = clash(before.settings, settings)
    if not changed and before.fingerprint != fingerprint(settings):
        changed = ["the algorithm of this version of chunkmeans is another one"]
    if changed:
        raise ResultError(
            f"{store.path}: holds results of other settings ({'; '.join(changed)}); choose "
            "another results.path, or replace them with --overwrite"
        )
    return before
