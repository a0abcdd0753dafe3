"""Models as zarr arrays.

That of a collection is ``collection`` in the output's ``model.zarr``, those of groups lie under
``groups`` there; that of an image lies in the image's own store, where it is too large for
attributes.
"""

import json
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.errors import ResultError
from chunkmeans.kmeans.model import Model
from chunkmeans.results.store.plain_json import reading, to_json
from chunkmeans.results.store.store import METADATA, MODEL, Store, path_of
from chunkmeans.results.store.versions import FORMAT, refuse_newer
from chunkmeans.results.store.zarr_writer import ZarrArray, write_array
from chunkmeans.retry import with_retries

_NUMBERS_PER_CHUNK = 2**20
_GROUPS = "groups"


def group_json(attributes: Any) -> str:
    """Return the text of the ``zarr.json`` of a group with these attributes."""
    return to_json({"zarr_format": 3, "node_type": "group", "attributes": attributes})


def group_attributes(store: Store, path: str) -> dict[str, Any]:
    """Return the attributes of the zarr group at `path`.

    Raises
    ------
    ResultError
        If there is no group, its metadata is damaged, or it is of a newer format.
    """
    name = f"{path}/{METADATA}" if path else METADATA
    text = store.read_text(name)
    with reading(store.join(name)):
        document = json.loads(text)
        if document["node_type"] != "group":
            raise ResultError(f"{store.join(name)}: is an array where a group is needed")
        attributes: dict[str, Any] = document["attributes"]
    own = attributes.get("chunkmeans")
    if isinstance(own, dict) and "format" in own:
        refuse_newer(own["format"], store.join(path))
    return attributes


def create_groups(store: Store, path: str) -> None:
    """Create the zarr group at `path`, and those above it, where there is none."""
    names = path.split("/")
    for depth in range(1, len(names) + 1):
        name = "/".join([*names[:depth], METADATA])
        if not store.exists(name):
            store.write_text(name, group_json({"chunkmeans": {"format": FORMAT}}))


def write_group(
    store: Store,
    path: str,
    what: str,
    arrays: Mapping[str, tuple[ZarrArray, NDArray[Any]]],
    attributes: Mapping[str, Any],
) -> None:
    """Write arrays as the zarr group `path`; errors name `what` it is.

    The group's own metadata comes last, so that half a group is none.
    """
    store.delete(path)
    with store.naming(path, f"{what} cannot be written"):
        for name, (array, values) in arrays.items():
            write_array(store, f"{path}/{name}", array, values)
    store.sync(path)
    own = {"format": FORMAT, **attributes}
    store.write_text(f"{path}/{METADATA}", group_json({"chunkmeans": own}))


def numbers(model: Model) -> int:
    """Return how many numbers a model holds."""
    return sum(getattr(model, name).size for name in _AXES)


def write_model(
    store: Store,
    group: str | None,
    model: Model,
    attributes: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Write the model of a group of images, None: of the collection, to ``model.zarr``.

    `attributes` hold what it was made of: ``pool``, which images; ``pixels``, of what kind.

    Raises
    ------
    ResultError
        If the output cannot be written.
    """
    create_groups(store, MODEL if group is None else f"{MODEL}/{_GROUPS}")
    named = {} if group is None else {"group": group}
    write_model_at(store, model_path(group), model, {**named, **attributes})


def read_model(store: Store, group: str | None = None) -> Model:
    """Return the model of a group of images, None: of the collection.

    Raises
    ------
    ResultError
        If there is none, or it is damaged.
    """
    if not has_model(store, group):
        known = ["the collection" if name is None else repr(name) for name in model_names(store)]
        raise ResultError(
            f"{store.join(MODEL)}: no model of "
            + ("the collection; " if group is None else f"group {group!r}; ")
            + (f"there are {', '.join(known)}" if known else "each image has a model of its own")
        )
    return read_model_at(store, model_path(group))


def has_model(store: Store, group: str | None = None) -> bool:
    """Whether the model of a group, None: of the collection, is stored whole."""
    return store.exists(f"{model_path(group)}/{METADATA}")


def model_attributes(store: Store, group: str | None = None) -> dict[str, Any]:
    """Return the attributes of the stored model of a group; empty if there is none.

    Raises
    ------
    ResultError
        If its metadata is damaged.
    """
    if not has_model(store, group):
        return {}
    return dict(group_attributes(store, model_path(group))["chunkmeans"])


def model_pool(store: Store, group: str | None = None) -> str | None:
    """Return which pool of images the stored model of a group is of; None if there is none."""
    try:
        pool: str | None = model_attributes(store, group).get("pool")
    except (ResultError, KeyError):
        return None
    return pool


def model_names(store: Store) -> list[str | None]:
    """Return the groups whose models are stored, None standing for the collection.

    Raises
    ------
    ResultError
        If the metadata of one is damaged.
    """
    paths = [f"{MODEL}/{_GROUPS}/{name}" for name in store.names(f"{MODEL}/{_GROUPS}")]
    groups = [
        str(group_attributes(store, path)["chunkmeans"]["group"])
        for path in paths
        if store.exists(f"{path}/{METADATA}")
    ]
    return [*([None] if has_model(store) else []), *sorted(groups)]


def model_path(group: str | None) -> str:
    """Return where the model of a group, None: of the collection, lies.

    A group's name is any text of a manifest; it is kept among the attributes.

    >>> model_path("Slide 7/a")
    'model.zarr/groups/Slide_7_a-c0b46bc4f973d182'
    """
    return f"{MODEL}/collection" if group is None else f"{MODEL}/{_GROUPS}/{path_of(group)}"


def write_model_at(
    store: Store, path: str, model: Model, attributes: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Write `model` as the zarr group `path`: an array per array, the rest as attributes."""
    arrays = {}
    for name, axes in _AXES.items():
        values = getattr(model, name)
        rows = max(1, _NUMBERS_PER_CHUNK // max(1, values[:1].size))
        chunk = tuple(max(1, n) for n in (min(rows, len(values)), *values.shape[1:]))
        arrays[name] = ZarrArray(values.shape, values.dtype, chunk, None, axes), values
    rest = {k: v for k, v in model.to_dict().items() if k not in _AXES}
    write_group(store, path, "the model", arrays, {**attributes, "model": rest})


def read_model_at(store: Store, path: str) -> Model:
    """Return the model that `write_model_at` wrote."""
    import zarr  # a run that only writes does not wait for it

    data = dict(group_attributes(store, path)["chunkmeans"]["model"])
    source = store.zarr(path)

    def read(name: str) -> NDArray[Any]:
        array = zarr.open_array(source, path=name, mode="r")
        if array.nchunks_initialized < array.nchunks:
            raise ResultError(f"{store.join(path)}: the model is damaged: {name} has holes")
        return np.asarray(array[...])

    with store.naming(path, "the model cannot be read"):
        try:
            for name in _AXES:
                data[name] = with_retries(partial(read, name))
        except (OSError, ResultError):
            raise
        except Exception as error:  # a codec's failure: zarr and numcodecs have no common base
            raise ResultError(f"{store.join(path)}: the model is damaged: {error}") from error
    return Model.from_dict(data)


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
