"""Exact totals of an image's labels, kept in its store, and the averages they give.

A model has the means that labelled; in a collection, or after an iteration that was stopped, an
image's own pixels of a label have another average. The exact totals are kept where that is so:
a collection's are those of its images, added up, so images that are labelled need not be read
again when a run is resumed.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from chunkmeans.kmeans.exact.accumulator import Exact
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.model import Model
from chunkmeans.kmeans.samples import Floats
from chunkmeans.results.store.packed_arrays import pack_array, unpack_array
from chunkmeans.results.store.plain_json import reading, to_json
from chunkmeans.results.store.store import Store

TOTALS = "totals"
MOST_LETTERS = 2**20
"""Letters that attributes may hold of them; more are a file of their own."""
_FILE = "totals.json"


def averages(written: Moments, model: Model) -> Floats:
    """Return the average of the pixels of each label, (k, c); NaN where it has none.

    Parameters
    ----------
    written
        Exact totals of the labelled pixels, by row of the fit.
    model
        Of the same labels.
    """
    order = np.argsort(model.order)
    counts = written.counts[order][:, None]
    sums = written.sums.floats()[order]
    found: Floats = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return found


def totals_attributes(
    store: Store, path: str, written: Moments, model: Model, *, pooled: bool
) -> dict[str, Any]:
    """Return what to keep among the attributes of the image's store at `path`.

    Nothing where the means of the model are the averages of the image's pixels already.
    """
    used = model.counts > 0
    if not pooled and np.array_equal(averages(written, model)[used], model.means[used]):
        return {}
    found = {
        "counts": written.counts.tolist(),
        "sums": _packed(written.sums),
        "squares": _packed(written.squares),
    }
    text = to_json(found)
    if len(text) <= MOST_LETTERS:
        return {TOTALS: found}
    store.write_text(f"{path}/{_FILE}", text)
    return {TOTALS: {"stored": _FILE}}


def totals_of(store: Store, path: str, attributes: Mapping[str, Any]) -> Moments | None:
    """Return the exact totals of the image's store at `path`; None if it keeps none.

    Raises
    ------
    ResultError
        If they are damaged.
    """
    found = attributes.get(TOTALS)
    if found is None:
        return None
    with reading(store.join(path), "the totals are damaged"):
        if "stored" in found:
            found = json.loads(store.read_text(f"{path}/{found['stored']}"))
        return Moments(
            np.array(found["counts"], np.int64),
            _unpacked(found["sums"]),
            _unpacked(found["squares"]),
        )


def _packed(sums: Exact) -> dict[str, Any]:
    packed = pack_array(sums.limbs)
    return {"shape": packed["shape"], "exponent": sums.exponent, "limbs": packed["zlib"]}


def _unpacked(found: Mapping[str, Any]) -> Exact:
    packed = {"dtype": "<i8", "shape": found["shape"], "zlib": found["limbs"]}
    return Exact(unpack_array(packed), int(found["exponent"]))
