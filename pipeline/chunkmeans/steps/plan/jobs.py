"""From a config to the jobs of a run: what is segmented, how, and where it goes."""

from collections.abc import Collection, Sequence
from dataclasses import fields, replace
from os.path import abspath
from typing import Any

import numpy as np

from chunkmeans.config import Config
from chunkmeans.config.models import EarlierResults, GivenMeans
from chunkmeans.errors import ConfigError, ResultError
from chunkmeans.features.base import FeatureChain
from chunkmeans.features.registry import make_features
from chunkmeans.features.scale import ChannelScale
from chunkmeans.features.validity import Nodata
from chunkmeans.kmeans.fit import FitSettings
from chunkmeans.kmeans.model import Model
from chunkmeans.results.models.models import has_model
from chunkmeans.results.read.catalog import COLUMNS
from chunkmeans.results.read.open_results import open_run
from chunkmeans.results.store.store import Store
from chunkmeans.results.store.versions import versions_now
from chunkmeans.sources.base import ReadOptions
from chunkmeans.sources.find.collection import collect_entries
from chunkmeans.sources.find.manifest import Entry
from chunkmeans.steps.job import Job, LabelOutput


def jobs_of(config: Config) -> list[Job]:
    """Return a job per image that the config names, in the order of their listing.

    Raises
    ------
    ConfigError
        If the config names no image, asks for groups that no manifest gives, or for earlier
        means that are not there.
    """
    images = config.images
    entries = collect_entries(images.path, mask=images.mask, storage_options=images.storage_options)
    attributes = {"settings": config.settings(), "versions": versions_now()}
    output = LabelOutput(store_of(config), config.results, attributes)
    if config.kmeans.scope == "group":
        without = [entry.path for entry in entries if entry.group is None]
        if without:
            raise ConfigError(
                f"kmeans.scope is group, but {len(without)} images have none, {without[0]} first; "
                "list the images in a manifest with a column `group`"
            )
    settings = means_of(config, entries)
    # made once, as there may be a million jobs
    shared, nodata = read_options(config), nodata_of(config)
    features = make_features(config.features.use)
    named = catalogue_names({name: None for entry in entries for name in entry.extra})
    return [
        Job(
            id=entry.id,
            path=entry.path,
            mask=entry.mask,
            options=replace(shared, channels=entry.channels) if entry.channels else shared,
            nodata=nodata,
            settings=settings[entry.id],
            output=output,
            group=entry.group if config.kmeans.scope == "group" else None,
            manifest={named[name]: cell for name, cell in entry.extra.items()}
            if named
            else entry.extra,
            fingerprint=images.fingerprint,
            features=features,
        )
        for entry in entries
    ]


def catalogue_names(columns: Collection[str]) -> dict[str, str]:
    """Return what the catalogue calls the columns of a manifest, if any has to be renamed.

    A column that is called as one of the catalogue's own gets ``manifest_`` in front.

    Raises
    ------
    ConfigError
        If there is a column of that name already.
    """
    named = {name: f"manifest_{name}" if name in COLUMNS else name for name in columns}
    if clash := [name for name in columns if named[name] != name and named[name] in columns]:
        raise ConfigError(
            f"the manifest has columns {clash[0]!r} and {named[clash[0]]!r}, which would be one "
            "in the catalogue; rename one of them"
        )
    return {} if all(name == new for name, new in named.items()) else named


def means_of(config: Config, entries: Sequence[Entry]) -> dict[str, FitSettings]:
    """Return how to fit each image, by id, with the means of earlier results where asked for."""
    settings, init = settings_of(config), config.kmeans.init
    if not isinstance(init, EarlierResults):
        return {entry.id: settings for entry in entries}
    models = _found_models(config, init, entries)
    return {name: _starting(settings, model, name) for name, model in models.items()}


def _found_models(
    config: Config, init: EarlierResults, entries: Sequence[Entry]
) -> dict[str, Model]:
    """Return the model of earlier results for each image, by id: pooled, of its group, its own."""
    if abspath(init.path) == abspath(config.results.path):
        raise ConfigError(
            f"kmeans.init.from: {init.path} is results.path itself; choose another results.path"
        )
    try:
        earlier = open_run(init.path, config.results.storage_options)
        groups = earlier.models
        pooled = earlier.model if has_model(earlier.store) else None
    except ResultError as error:
        raise ConfigError(f"kmeans.init.from: {error}") from error
    models = {}
    for entry in entries:
        model = pooled or groups.get(entry.group or "")
        if model is None and entry.id in earlier.images:
            model = earlier.images[entry.id].model
        if model is not None:
            models[entry.id] = model
    if without := [entry.id for entry in entries if entry.id not in models]:
        known = list(earlier.images)
        raise ConfigError(
            f"kmeans.init.from: {init.path} has no means for {len(without)} images, "
            f"{without[0]!r} first; it has results of {len(known)}, such as "
            f"{', '.join(map(repr, known[:3]))}"
        )
    return models


def _starting(settings: FitSettings, model: Model, name: str) -> FitSettings:
    """Return the settings with the means of an earlier model, in the order that decides ties."""
    if model.k > settings.k:
        raise ConfigError(
            f"kmeans.init.from: has {model.k} means for image {name!r}, kmeans.k is {settings.k}; "
            f"set kmeans.k to {model.k}"
        )
    return replace(settings, init=model.means[model.order])


def settings_of(config: Config) -> FitSettings:
    """Return how to fit; the means of earlier results are not looked up here."""
    kmeans = config.kmeans
    init: Any = kmeans.init
    if isinstance(init, GivenMeans):
        init = np.array(init.means)
    elif isinstance(init, EarlierResults):
        init = "random"
    named = ("k", "restarts", "threshold", "max_iterations", "empty", "seed")
    steps = (*make_features(config.features.use).steps, ChannelScale(config.features.scale))
    given = {name: getattr(kmeans, name) for name in named}
    return FitSettings(**given, init=init, scale=FeatureChain(steps))


def store_of(config: Config) -> Store:
    """Return the output."""
    return Store(config.results.path, config.results.storage_options)


def read_options(config: Config) -> ReadOptions:
    """Return what to read of every image whose manifest says nothing else; keys of one name."""
    names = [field.name for field in fields(ReadOptions)]
    return ReadOptions(**{name: getattr(config.images, name) for name in names})


def nodata_of(config: Config) -> Nodata | None:
    """Return the config's nodata as a tuple; None: what each file says."""
    nodata = config.images.nodata
    if nodata is None or isinstance(nodata, tuple):
        return nodata
    return (nodata,)
