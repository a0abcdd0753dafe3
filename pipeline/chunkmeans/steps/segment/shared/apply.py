"""New images labelled by means that were found before: no fit, one read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Any

import numpy as np

from chunkmeans.config import Config, make_config
from chunkmeans.engines.base import Engine
from chunkmeans.errors import ConfigError, ResultError, SourceError
from chunkmeans.events import COLLECTION, Watcher
from chunkmeans.kmeans.fit import Fit
from chunkmeans.kmeans.metric import Metric
from chunkmeans.kmeans.model import Model
from chunkmeans.kmeans.progress import Iterations
from chunkmeans.results.models.models import model_attributes
from chunkmeans.results.read.open_results import Run, open_run, open_segmented
from chunkmeans.results.store.plain_json import to_json
from chunkmeans.results.store.store import METADATA, RECORD, Store
from chunkmeans.secrets import for_the_record
from chunkmeans.steps.job import Job, Opened
from chunkmeans.steps.resume.outcome import Ending
from chunkmeans.steps.segment.shared.members import fitting, label_members, open_all

_KINDS = {"u": "unsigned integers", "i": "signed integers", "f": "floats"}


@dataclass(frozen=True)
class SavedModel:
    """A model that labels, and what it was made of."""

    path: str
    """Where it was found."""
    model: Model
    dtype: np.dtype[Any]
    """Of the pixels that it is of."""
    channels: int
    settings: Mapping[str, Any]
    """Those of the run that found it: which channels, what is no data, ..."""

    @property
    def digest(self) -> str:
        """Names how it labels: the same text, the same labels of the same pixels."""
        model = self.model
        labelling = [model.means, model.order, model.weights]
        return sha256(to_json(labelling).encode()).hexdigest()[:32]

    @property
    def record(self) -> dict[str, Any]:
        """What results record of the model that labelled them."""
        return {"model": for_the_record(self.path), "digest": self.digest}

    def refuse_other(self, member: Opened) -> None:
        """Refuse an image whose pixels are of another kind than the model's.

        Raises
        ------
        SourceError
            Naming both.
        """
        info = member.source.info
        if info.channels != self.channels:
            raise SourceError(
                f"{member.job.path}: has {info.channels} channels, the model {self.path} is of "
                f"{self.channels}; choose as many by images.channels"
            )
        if info.dtype.kind != self.dtype.kind:
            here, there = _KINDS.get(info.dtype.kind, ""), _KINDS.get(self.dtype.kind, "")
            raise SourceError(
                f"{member.job.path}: holds {info.dtype} ({here}), the model {self.path} is of "
                f"{self.dtype} ({there}); the same numbers would mean something else"
            )


def saved_model(
    path: str, storage_options: Mapping[str, Any] | None = None, group: str | None = None
) -> SavedModel:
    """Return the model of an output of scope collection or group, or of one image's store.

    Parameters
    ----------
    path
        A folder or URL: of the output, or of an image's store in it.
    group
        Which of the models of an output of scope group.

    Raises
    ------
    ConfigError
        If the output has no such model, naming those that it has.
    ResultError
        If there is no output or it is damaged.
    """
    store = Store(path.rstrip("/"), storage_options or {})
    if store.exists(METADATA) and not store.exists(RECORD):
        image = open_segmented(store, "")
        made = image.attributes
        return SavedModel(
            path, image.model, image.dtype, made["image"]["channels"], made["settings"]
        )
    run = open_run(path, storage_options)
    models, name = run.models, COLLECTION if group is None else group
    if group is None and len(models) == 1 and name not in models:
        name = group = next(iter(models))
    if name not in models:
        raise ConfigError(f"{path}: {_which(run, models, group)}")
    stored = None if group is None else name
    pixels = model_attributes(store, stored).get("pixels")
    if pixels is None:
        raise ResultError(
            f"{path}: its model does not say what pixels it is of, as it was made by an older "
            "chunkmeans; run it again with --overwrite"
        )
    settings = run.record.settings
    return SavedModel(
        path, models[name], np.dtype(pixels["dtype"]), int(pixels["channels"]), settings
    )


def _which(run: Run, models: Mapping[str, Model], group: str | None) -> str:
    """Return which model is meant, or might be, in words."""
    if models:
        known = ", ".join(map(repr, models))
        asked = "has several models" if group is None else f"has no model of group {group!r}"
        return f"{asked}; give --group, one of {known}"
    images = list(run.images)
    example = f", such as {run.store.path}/{run.images[images[0]].path}" if images else ""
    return f"each of its images has a model of its own; name an image's store{example}"


def config_of(
    saved: SavedModel,
    images: str | Sequence[str],
    output: str,
    overrides: Sequence[str] = (),
    cluster: str | None = None,
    opening: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> Config:
    """Return the config of labelling `images` as the model's run took its own, but whole.

    `opening` has the storage options of ``images`` and of ``results``.
    """
    settings = saved.settings
    taken = {key: value for key, value in settings["images"].items() if key != "region"}
    by = {name: {"storage_options": options} for name, options in opening.items()}
    return make_config(
        images={**taken, **by.get("images", {}), "path": images},
        features=dict(settings["features"]),
        kmeans={**settings["kmeans"], "init": "random", "k": saved.model.k, "scope": "image"},
        results={**settings["results"], **by.get("results", {}), "path": output},
        cluster=cluster,
        overrides=overrides,
    )


def fit_of(model: Model) -> Fit:
    """Return a fit that labels as `model` did, and records the same."""
    means = model.means[model.order]
    course = Iterations(
        residuals=model.residuals.tolist(),
        inertias=model.inertias.tolist(),
        counts=list(model.history[:, model.order]),
        means=means,
    )
    return Fit(
        means=means,
        numbers=(model.order + 1).astype(np.uint16),
        metric=Metric(model.weights),
        iterations=course,
        occupied=np.arange(model.k),
        starts=model.starts,
        best=model.best,
    )


def applied(jobs: Sequence[Job], saved: SavedModel) -> list[Job]:
    """Return the jobs with stores that say which model labelled them."""
    return [job.with_attributes(applied=saved.record) for job in jobs]


def label_images(
    jobs: Sequence[Job], saved: SavedModel, engine: Engine, watch: Watcher
) -> Iterator[Ending]:
    """Label images by a model that is there; yields how each ended, in any order."""
    members = yield from open_all(jobs, engine)
    members = yield from fitting(members, saved.refuse_other)
    yield from label_members(members, fit_of(saved.model), engine, watch)
