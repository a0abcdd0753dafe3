"""Whose an output is: of an earlier run that is gone on with, of another one, or of nobody."""

from collections.abc import Mapping

from pipeline.errors import ResultError
from pipeline.results.record import RunRecord, clash, fingerprint, read_record
from pipeline.results.store import CATALOG, FITS, IMAGES, LABELS, LOGS, MODEL, RECORD, Store


def clear(store: Store) -> None:
    """Delete what a run writes, and nothing else; its record last, as it says whose this is.

    Tables of pixels stay: they are of the images alone, not of the settings.
    """
    for name in (CATALOG, LABELS, MODEL, IMAGES, FITS, LOGS, RECORD):
        store.delete(name)


def earlier(store: Store) -> RunRecord | None:
    """Return the record of an earlier run; None where there is nothing of one.

    Raises
    ------
    ResultError
        If the output holds something else, which a run would write into, or delete.
    """
    if store.exists(RECORD):
        return read_record(store)
    foreign = [
        name
        for name in (CATALOG, MODEL, IMAGES)
        if store.exists(name) and (name == CATALOG or store.files(name))
    ]
    if foreign:
        raise ResultError(
            f"{store.path}: holds {' and '.join(map(repr, foreign))} but no {RECORD}, so it is no "
            "output of chunkmeans; choose another results.path"
        )
    return None


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
