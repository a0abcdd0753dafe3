"""From a config to the jobs of a run: what is segmented, how, and where it goes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from os.path import abspath
from typing import Any

import numpy as np

from chunkmeans.config import Config
from chunkmeans.config.models import EarlierResults, GivenMeans
from chunkmeans.errors import ConfigError, ResultError
from chunkmeans.features.validity import Nodata
from chunkmeans.kmeans.fit import FitSettings
from chunkmeans.kmeans.model import Model
from chunkmeans.results.models.models import has_model
from chunkmeans.results.read.catalog import COLUMNS
from chunkmeans.results.read.open_results import open_run
from chunkmeans.results.read.record import versions
from chunkmeans.results.store.store import Store
from chunkmeans.sources.base import ReadOptions
from chunkmeans.sources.find.collection import Entry, collect_entries
from chunkmeans.steps.job import Job, Output


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
    output = output_of(config)
    if config.kmeans.scope == "group":
        without = [entry.path for entry in entries if entry.group is None]
        if without:
            raise ConfigError(
                f"kmeans.scope is group, but {len(without)} images have none, {without[0]} first; "
                "list the images in a manifest with a column `group`"
            )
    settings = means_of(config, entries)
    shared, nodata = read_options(config), nodata_of(config)  # there may be a million jobs
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
        )
        for entry in entries
    ]


def catalogue_names(columns: Iterable[str]) -> dict[str, str]:
    """Return what the catalogue calls the columns of a manifest, if any has to be renamed.

    A column that is called as one of the catalogue's own gets ``manifest_`` in front.

    Raises
    ------
    ConfigError
        If there is a column of that name already.
    """
    taken = list(columns)
    named = {name: f"manifest_{name}" if name in COLUMNS else name for name in taken}
    if clash := [name for name in taken if named[name] != name and named[name] in taken]:
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
    models = {entry.id: pooled or groups.get(entry.group or "") for entry in entries}
    for name, model in models.items():
        if model is None and name in earlier.images:
            models[name] = earlier.images[name].model
    without = [name for name, model in models.items() if model is None]
    if without:
        known = list(earlier.images)
        raise ConfigError(
            f"kmeans.init.from: {init.path} has no means for {len(without)} images, "
            f"{without[0]!r} first; it has results of {len(known)}, such as "
            f"{', '.join(map(repr, known[:3]))}"
        )
    return {name: _starting(settings, model, name) for name, model in models.items() if model}


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
    init = kmeans.init
    return FitSettings(
        k=kmeans.k,
        init=np.array(init.means)
        if isinstance(init, GivenMeans)
        else "random"
        if isinstance(init, EarlierResults)
        else init,
        restarts=kmeans.restarts,
        threshold=kmeans.threshold,
        max_iterations=kmeans.max_iterations,
        empty=kmeans.empty,
        seed=kmeans.seed,
        scale=config.features.scale,
    )


def output_of(config: Config) -> Output:
    """Return where and how labels are stored."""
    results = config.results
    attributes: Mapping[str, Any] = {"settings": config.settings(), "versions": versions()}
    return Output(
        store_of(config),
        results.chunk,
        results.shard,
        results.pyramid,
        results.mean_image,
        attributes,
        results.samples,
    )


def store_of(config: Config) -> Store:
    """Return the output."""
    return Store(config.results.path, config.results.storage_options)


def read_options(config: Config, entry: Entry | None = None) -> ReadOptions:
    """Return what to read of an image; its manifest's channels win."""
    images = config.images
    return ReadOptions(
        series=images.series,
        level=images.level,
        axes=images.axes,
        channels=entry.channels if entry and entry.channels else images.channels,
        region=images.region,
        limits=images.limits,
        storage_options=images.storage_options,
    )


def nodata_of(config: Config) -> Nodata | None:
    """Return the config's nodata as a tuple; None: what each file says."""
    nodata = config.images.nodata
    if nodata is None or isinstance(nodata, tuple):
        return nodata
    return (nodata,)
