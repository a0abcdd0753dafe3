"""How far a fit is: one small file while the fit is running, deleted when it is labelled.

``fits/<subject>.json`` has a line that names the fit, with a checksum of the second line,
which holds the history of the running start and of the best before it, and the last means.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from typing import Any

import numpy as np

from chunkmeans.errors import ResultError
from chunkmeans.kmeans.model import Start
from chunkmeans.kmeans.progress import Iterations, Progress
from chunkmeans.results.store.packed_arrays import pack_array, unpack_array
from chunkmeans.results.store.plain_json import reading, to_json
from chunkmeans.results.store.store import FITS, Store
from chunkmeans.results.store.versions import FORMAT


def fit_path(subject: str) -> str:
    """Return the name of the file of a subject's fit."""
    return f"{FITS}/{subject}.json"


def write_fit(store: Store, subject: str, mark: str, progress: Progress) -> None:
    """Save how far the fit of a subject is, whole or not at all.

    Parameters
    ----------
    mark
        Names the fit: the same text, the same samples and settings.

    Raises
    ------
    ResultError
        If the output cannot be written.
    """
    body = to_json(
        {
            "starts": [asdict(start) for start in progress.starts],
            "kept": None if progress.of_best is None else _packed(progress.of_best),
            "running": _packed(progress.running),
        }
    )
    head = to_json({"format": FORMAT, "fit": mark, "sha256": _checksum(body)})
    store.write_lines(fit_path(subject), (head, "\n", body, "\n"))


def read_fit(store: Store, subject: str, mark: str) -> Progress | None:
    """Return how far the fit of a subject is; None if nothing of this very fit was saved.

    Raises
    ------
    ResultError
        If what was saved is damaged.
    """
    name = fit_path(subject)
    if not store.exists(name):
        return None
    with reading(store.join(name)):
        first, body, _ = store.read_text(name).split("\n")
        head = json.loads(first)
        if head["format"] != FORMAT or head["fit"] != mark:
            return None
        if head["sha256"] != _checksum(body):
            raise ResultError(f"{store.join(name)}: is damaged: its checksum is another one")
        found = json.loads(body)
        return Progress(
            starts=[Start.from_dict(start) for start in found["starts"]],
            of_best=None if found["kept"] is None else _course(found["kept"]),
            running=_course(found["running"]),
        )


def _checksum(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _packed(course: Iterations) -> dict[str, Any]:
    return {
        "residuals": pack_array(np.array(course.residuals, np.float64)),
        "inertias": pack_array(np.array(course.inertias, np.float64)),
        "counts": pack_array(np.array(course.counts, np.int64)) if len(course) else None,
        "means": None if course.means is None else pack_array(course.means),
        "refilled": list(course.refilled),
    }


def _course(found: Mapping[str, Any]) -> Iterations:
    return Iterations(
        residuals=unpack_array(found["residuals"]).tolist(),
        inertias=unpack_array(found["inertias"]).tolist(),
        counts=[] if found["counts"] is None else list(unpack_array(found["counts"])),
        means=None if found["means"] is None else unpack_array(found["means"]),
        refilled=tuple(map(int, found["refilled"])),
    )
