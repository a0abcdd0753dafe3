"""A job: what it takes to segment one image, before and after it is opened."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Self

import numpy as np

from chunkmeans.config.models import Fingerprint, Results
from chunkmeans.features.base import FeatureChain
from chunkmeans.features.validity import NO_FEATURES, Nodata
from chunkmeans.kmeans.fit import FitSettings
from chunkmeans.results.store.store import Store
from chunkmeans.results.write.layout import LabelLayout, plan_labels
from chunkmeans.retry import with_retries
from chunkmeans.secrets import without_secrets
from chunkmeans.sources.base import ReadOptions
from chunkmeans.sources.registry import open_image
from chunkmeans.steps.chunk import Input, in_time, input_fingerprint, open_input
from chunkmeans.steps.tuning import Tuning, default_tuning


@dataclass(frozen=True)
class LabelOutput:
    """Where and how labels are stored."""

    store: Store
    asked: Results
    """The config's section: how they are cut, what is stored beside them."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """JSON values that every image's store carries: settings, versions."""


@dataclass(frozen=True, repr=False, slots=True)
class Job:
    """What it takes to segment one image, before it is opened; pickles."""

    id: str
    """Names the image in results."""
    path: str
    mask: str | None
    options: ReadOptions
    nodata: Nodata | None
    """From the config; None: what the file says."""
    settings: FitSettings
    output: LabelOutput
    group: str | None = None
    """Which group of a collection it belongs to, from a manifest."""
    manifest: Mapping[str, str] = field(default_factory=dict)
    """Columns of the image's manifest that its catalogue row carries."""
    fingerprint: Fingerprint = "stat"
    """By what another run knows whether it is still the same."""
    features: FeatureChain = NO_FEATURES
    """What samples are made of its pixels by."""
    tuning: Tuning = field(default_factory=default_tuning)
    """How it is cut into tasks."""

    def __repr__(self) -> str:
        # errors of the engine show it
        return self.source

    @property
    def source(self) -> str:
        """Where it is read from, as it may be written down."""
        return without_secrets(self.path)

    @property
    def choice(self) -> str:
        """What is taken of the input, as the catalogue lists it: mask, channels, group."""
        channels = None if self.options.channels is None else list(self.options.channels)
        mask = None if self.mask is None else without_secrets(self.mask)
        named = {"mask": mask, "channels": channels, "group": self.group}
        return "; ".join(f"{name} {what}" for name, what in named.items() if what is not None)

    @property
    def initial_means(self) -> str | None:
        """A hash of the means that the fit begins with; None if they are drawn."""
        init = self.settings.init
        return None if isinstance(init, str) else sha256(np.array(init).tobytes()).hexdigest()[:32]

    def with_attributes(self, **added: Any) -> Self:
        """Return the same job, whose store carries more attributes."""
        attributes = {**self.output.attributes, **added}
        return replace(self, output=replace(self.output, attributes=attributes))

    def look(self) -> Input:
        """Open the image and its mask, headers only, whatever the kind of `fingerprint`.

        Raises
        ------
        SourceError
            If that fails or they do not fit each other.
        """

        def opened() -> Input:
            mask = None
            with in_time(self.path, "cannot be opened", self.options.limits):
                image = open_image(self.path, self.options)
                image.info  # noqa: B018 (reads the header)
                if self.mask is not None:
                    whole = replace(self.options, channels=None, axes=None, series=0)
                    mask = open_image(self.mask, whole)
                    mask.info  # noqa: B018
            return open_input(self.id, image, mask, self.nodata, self.features)

        return replace(with_retries(opened), tuning=self.tuning)

    def identify(self, source: Input) -> Input:
        """Return what `look` opened with the kind of fingerprint that results keep.

        Reads all of the files where that is the hash of their content; the stamp is older than the
        hash, so that a change while they are read is noticed.
        """
        if self.fingerprint == "stat":
            return source
        image, mask = source.image, source.mask
        mark = with_retries(lambda: input_fingerprint(image, mask, self.fingerprint))
        return replace(source, fingerprint=mark)

    def open(self) -> Input:
        """Open the image and its mask to be segmented; errors as of `look`."""
        return self.identify(self.look())


@dataclass(frozen=True, slots=True)
class Opened:
    """A job with its image opened; pickles, so that no other task reads the header for it."""

    job: Job
    source: Input

    @property
    def layout(self) -> LabelLayout:
        """How its labels are cut."""
        info, k, how = self.source.info, self.job.settings.k, self.job.output.asked
        return plan_labels(info, k, chunk=how.chunk, shard=how.shard, pyramid=how.pyramid)
