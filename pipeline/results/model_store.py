"""Models as zarr arrays.

Those of a collection or a group lie in the output's ``model.zarr``; that of an image lies in the
image's own store, where it is too large for attributes.
"""

import json
from dataclasses import fields
from typing import Any

import numpy as np
import zarr

from pipeline.errors import ResultError
from pipeline.kmeans.model import Model
from pipeline.results.arrays import create_array
from pipeline.results.plain import to_json
from pipeline.results.store import METADATA, MODEL, Store

FORMAT = 1
"""Version of everything under an output root; readers refuse newer ones."""

_NUMBERS_PER_CHUNK = 2**20


def group_json(attributes: Any) -> str:
    """Return the text of the ``zarr.json`` of a group with these attributes."""
    return to_json({"zarr_format": 3, "node_type": "group", "attributes": attributes})


def group_attributes(store: Store, path: str) -> dict[str, Any]:
    """Return the attributes of the zarr group at `path`.

    Raises
    ------
    ResultError
        If there is no group, or its metadata is damaged.
    """
    name = f"{path}/{METADATA}" if path else METADATA
    text = store.read_text(name)
    try:
        document = json.loads(text)
        if document["node_type"] != "group":
            raise ResultError(f"{store.join(name)}: is an array where a group is needed")
        attributes: dict[str, Any] = document["attributes"]
    except (ValueError, KeyError, TypeError) as error:
        raise ResultError(f"{store.join(name)}: is damaged: {error!r}") from error
    return attributes


def numbers(model: Model) -> int:
    """Return how many numbers a model holds."""
    return sum(value.size for value in _arrays(model).values())


def write_model(store: Store, name: str, model: Model) -> None:
    """Write the model of the scope `name` (``collection``, or a group's name) to ``model.zarr``.

    Raises
    ------
    ResultError
        If the output cannot be written.
    """
    if not store.exists(f"{MODEL}/{METADATA}"):
        store.write_text(f"{MODEL}/{METADATA}", group_json({"chunkmeans": {"format": FORMAT}}))
    write_model_at(store, f"{MODEL}/{name}", model)


def read_model(store: Store, name: str = "collection") -> Model:
    """Return the model of the scope `name`.

    Raises
    ------
    ResultError
        If there is none of this name, or it is damaged.
    """
    known = model_names(store)
    if name not in known:
        raise ResultError(
            f"{store.join(MODEL)}: no model of {name!r}; "
            + (f"there are {', '.join(known)}" if known else "each image has a model of its own")
        )
    return read_model_at(store, f"{MODEL}/{name}")


def model_names(store: Store) -> list[str]:
    """Return the names of the scopes whose models are stored."""
    found = [name for name in store.names(MODEL) if name != METADATA]
    return [name for name in found if store.exists(f"{MODEL}/{name}/{METADATA}")]


def write_model_at(store: Store, path: str, model: Model) -> None:
    """Write `model` as the group `path`: an array per array, the rest as attributes.

    The group's own metadata comes last, so that half a model is none.
    """
    store.delete(path)
    target = store.zarr(path)
    with store.naming(path, "the model cannot be written"):
        for name, values in _arrays(model).items():
            rows = max(1, _NUMBERS_PER_CHUNK // max(1, values[:1].size))
            chunk = tuple(max(1, n) for n in (min(rows, len(values)), *values.shape[1:]))
            array = create_array(target, name, values.shape, values.dtype, chunk, None, _AXES[name])
            array[...] = values
    store.sync(path)
    rest = {k: v for k, v in model.to_dict().items() if k not in _AXES}
    store.write_text(
        f"{path}/{METADATA}", group_json({"chunkmeans": {"format": FORMAT, "model": rest}})
    )


def read_model_at(store: Store, path: str) -> Model:
    """Return the model that `write_model_at` wrote."""
    data = dict(group_attributes(store, path)["chunkmeans"]["model"])
    source = store.zarr(path, read_only=True)
    with store.naming(path, "the model cannot be read"):
        try:
            for name in _AXES:
                array = zarr.open_array(source, path=name, mode="r")
                if array.nchunks_initialized < array.nchunks:
                    raise ResultError(f"{store.join(path)}: the model is damaged: {name} has holes")
                data[name] = np.asarray(array[...])
        except (OSError, ResultError):
            raise
        except Exception as error:  # a codec's failure: zarr and numcodecs have no common base
            raise ResultError(f"{store.join(path)}: the model is damaged: {error}") from error
    return model_from(data)


def model_from(data: dict[str, Any]) -> Model:
    """Return the model of JSON values, in which numbers that JSON does not know are texts."""
    starts = [
        {**start, "inertia": float(start["inertia"]), "residual": float(start["residual"])}
        for start in data["starts"]
    ]
    return Model.from_dict({**data, "starts": starts})


_AXES = {
    "means": ("label", "channel"),
    "order": ("label",),
    "weights": ("channel",),
    "counts": ("label",),
    "deviations": ("label", "channel"),
    "residuals": ("iteration",),
    "inertias": ("iteration",),
    "history": ("iteration", "label"),
}


def _arrays(model: Model) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays of a model by name."""
    values = {field.name: getattr(model, field.name) for field in fields(model)}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
