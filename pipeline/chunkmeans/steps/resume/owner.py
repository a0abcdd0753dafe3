"""Decides whether a results folder may be resumed, belongs to another run, or is free."""

from collections.abc import Mapping

from chunkmeans.errors import ResultError
from chunkmeans.results.read.record import RunRecord, differences, read_record
from chunkmeans.results.store.local_files import PARTIAL
from chunkmeans.results.store.log import is_log
from chunkmeans.results.store.store import CATALOG, FITS, IMAGES, LABELS, LOGS, MODEL, RECORD, Store
from chunkmeans.steps.resume.saved import is_fit


def previous_run(
    store: Store, settings: Mapping[str, object], *, overwrite: bool = False
) -> RunRecord | None:
    """Return the record of the run that is to be resumed, or overwritten; None: there is none.

    Raises
    ------
    ResultError
        If the output holds something else, which a run would write into, or delete; or, unless it
        is to be overwritten, results of other settings, naming what changed.
    """
    if not store.exists(RECORD):
        names = (CATALOG, LABELS, MODEL, FITS, IMAGES, LOGS)
        if foreign := [name for name in names if _foreign(store, name)]:
            raise ResultError(
                f"{store.path}: holds {' and '.join(map(repr, foreign))} but no {RECORD}, so it "
                "is no output of chunkmeans; choose another results.path"
            )
        return None
    before = read_record(store)
    if not overwrite and (changed := differences(before.settings, settings)):
        raise ResultError(
            f"{store.path}: holds results of other settings ({'; '.join(changed)}); choose "
            "another results.path, or replace them with --overwrite"
        )
    return before


def _foreign(store: Store, name: str) -> bool:
    """Whether there is something that no run put there, or left without its record.

    A run begins with its record, and one that overwrites deletes all but the tables of pixels
    before (which are as good as none where they are damaged), so it leaves nothing else without
    one when it is killed.
    """
    return store.exists(name) and not (
        # an empty folder is none
        store.is_folder(name) and all(file.endswith(PARTIAL) for file in store.files(name))
    )


def clear_output(store: Store) -> None:
    """Delete what a run writes, and nothing else; its record last, as it makes this our output.

    Tables of pixels stay: they are of the images alone, not of the settings. So does what a user
    put beside our logs and fits.
    """
    for name in (CATALOG, LABELS, MODEL, IMAGES):
        store.delete(name)
    for folder, ours in ((FITS, is_fit), (LOGS, is_log)):
        files = store.files(folder)
        found = [file for file in files if ours(file) or file.endswith(PARTIAL)]
        for name in [folder] if found == files else [f"{folder}/{file}" for file in found]:
            store.delete(name)
    store.delete(RECORD)
