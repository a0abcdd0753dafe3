"""The config as frozen values. Every default of the program is written here and nowhere else."""

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from chunkmeans.config import values
from chunkmeans.config.positions import shown
from chunkmeans.config.settings import NO_SETTING, Added, settings_in
from chunkmeans.secrets import HIDDEN, for_the_record

Edges = int | tuple[int, ...]

WITH_SECRETS = frozenset({"storage_options", "options", "dask_config"})
"""Keys of a section whose values may be passwords or tokens: of a store, of ssh, of a gateway."""


def _or_null(parse: Callable[[Any], Any]) -> BeforeValidator:
    """Return a validator that keeps null and hands everything else to `parse`."""
    return BeforeValidator(lambda value: None if value is None else parse(value))


_EMPTY_IF_NULL = BeforeValidator(lambda value: {} if value is None else value)
"""A section whose keys are all commented out is one of defaults."""


class _Section(BaseModel):
    """What all parts of the config share: frozen, strict in types, no unknown keys."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        # a traceback or a log shows sections; URLs may carry passwords
        for name, value in super().__repr_args__():
            yield name, value if isinstance(value, BaseModel) else for_the_record(value)


class Limits(_Section):
    """What a header may promise, and a decoder may take; an image of more than that fails."""

    piece: int = Field(default=2**31, ge=1)
    """Pixels that have to be decoded at once: of a compressed tile or strip, of a zarr chunk, or
    of a picture that has no parts (PNG, JPEG)."""
    pixels: int = Field(default=2**44, ge=1)
    """Pixels of an image."""
    pages: int = Field(default=2**18, ge=1)
    """Pages (directories) of a TIFF."""
    seconds: float | None = Field(default=600.0, gt=0, allow_inf_nan=False)
    """Seconds that reading a header may take, or decoding what is decoded at a time: about a
    million pixels, or one tile, strip or picture that is larger. Then the worker process is ended
    and replaced; not so with cluster.kind serial and threads, or where no nanny would replace it.
    Null: no limit."""


Fingerprint = Literal["stat", "content"]
"""How an input is recognised as unchanged."""


class Images(_Section):
    """What is segmented."""

    path: Annotated[
        tuple[str, ...],
        BeforeValidator(values.locations),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1}]}),
        NO_SETTING,
    ]
    """File, folder, glob, list of these, manifest.csv, URL, or
    ``package://skimage/data/coins.png``; relative to the current folder."""
    storage_options: Annotated[dict[str, Any], NO_SETTING] = Field(default_factory=dict, repr=False)
    """Handed to fsspec; never written to results or logs."""
    series: int = Field(0, ge=0)
    """Of a file with several images, which, from 0."""
    region: Annotated[
        tuple[values.Span, ...] | None,
        _or_null(values.region),
        WithJsonSchema({"type": ["array", "null"], "examples": [["0:4096", "0:4096"]]}),
    ] = None
    """Start and stop along each axis, pixels; null: the whole image."""
    channels: Annotated[tuple[int | str, ...] | None, _or_null(values.channels)] = None
    """Which channels, by index from 0 or name; null: all."""
    axes: Annotated[str | None, _or_null(values.axes)] = None
    """Axes of the stored array, a letter of tzyxc each, instead of those in the file."""
    level: int = Field(0, ge=0)
    """Of a pyramid, which level; 0 is the full image."""
    nodata: Annotated[
        float | int | tuple[float | int, ...] | None, _or_null(values.nodata_values)
    ] = None
    """Pixels that do not count: a number (all channels equal it; .nan: any channel is), or one
    per channel (any channel equals its own); null: that of the file."""
    mask: Annotated[str | None, _or_null(values.location)] = None
    """Path or pattern of masks; a pixel counts where its mask is not zero."""
    fingerprint: Annotated[Fingerprint, NO_SETTING] = "stat"
    """How an image is recognised as the one that was segmented: stat (its size and time of
    change, or what an object store has for them) or content (a hash of all its bytes, which reads
    every file once more, also of images that are done)."""
    limits: Annotated[Limits, _EMPTY_IF_NULL, NO_SETTING] = Field(default_factory=Limits)
    """What a header may promise, and a decoder may take."""


class Features(_Section):
    """Pixels as the algorithm sees them."""

    scale: Annotated[
        Literal["none", "standard", "range"] | tuple[float, ...], BeforeValidator(values.scale)
    ] = "none"
    """What distances are measured in: none, standard (deviations), range, or weights, one per
    channel."""
    use: Annotated[tuple[str, ...], BeforeValidator(values.names), Added(())] = ()
    """Names of installed features that samples are made of pixels by, one after the other."""


class GivenMeans(_Section):
    """Initial means that are written in the config."""

    means: Annotated[tuple[tuple[float, ...], ...], BeforeValidator(values.means)]
    """(k, c), in the image's own units."""


class EarlierResults(_Section):
    """Initial means that are the means of earlier results."""

    path: Annotated[str, BeforeValidator(values.location)] = Field(alias="from")
    """Folder or URL of those results; opened as ``results.path`` is."""


def _init(value: Any) -> Any:
    if isinstance(value, Mapping) and set(value) == {"means"}:
        [means] = values.each_of(value.items(), values.means)
        return GivenMeans.model_construct(means=means)
    if isinstance(value, Mapping) and set(value) == {"from"}:
        [path] = values.each_of(value.items(), values.location)
        return EarlierResults.model_construct(path=path)
    if isinstance(value, GivenMeans | EarlierResults) or value in ("random", "kmeans++"):
        return value
    raise ValueError(
        "must be random, kmeans++, {means: [[...], ...]} or {from: results/}, "
        f"found {_keys_or_value(value)}"
    )


def _keys_or_value(value: Any) -> str:
    """Return what was found; of a mapping its keys alone, since a value may be a secret."""
    return f"the keys {', '.join(map(str, value))}" if isinstance(value, Mapping) else shown(value)


class KMeans(_Section):
    """The algorithm."""

    k: int = Field(ge=1, le=65535)
    """Number of labels; may be left out where `init` gives means."""
    scope: Literal["image", "collection", "group"] = "image"
    """What has means of its own: each image, the whole collection, or each group of images."""
    init: Annotated[
        Literal["random", "kmeans++"] | GivenMeans | EarlierResults, BeforeValidator(_init)
    ] = "random"
    """Where the first means come from."""
    restarts: int = Field(1, ge=1)
    """Random starts; the one of lowest inertia is kept."""
    threshold: float = Field(0.0, ge=0, allow_inf_nan=False)
    """T: the iteration ends when the residual E is not above it."""
    max_iterations: int = Field(1000, ge=1)
    """The most iterations of one start."""
    empty: Literal["farthest", "keep", "error"] = "farthest"
    """What becomes of a group that lost all its pixels."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Of the random choice of first means."""

    @property
    def pooled(self) -> bool:
        """Whether images share their means."""
        return self.scope != "image"

    @model_validator(mode="before")
    @classmethod
    def _k_of_given_means(cls, section: Any) -> Any:
        match section:
            case {"init": {"means": [_, *_] as given}} if "k" not in section:
                return {"k": len(given), **section}
        return section

    @field_validator("init")
    @classmethod
    def _means_for_every_label(cls, init: Any, info: ValidationInfo) -> Any:
        k = info.data.get("k")
        if isinstance(init, GivenMeans) and k is not None and len(init.means) != k:
            raise ValueError(f"gives {len(init.means)} means where kmeans.k is {k}")
        return init


class Results(_Section):
    """Where results go and how they are stored."""

    path: Annotated[str, BeforeValidator(values.location), NO_SETTING]
    """Folder or URL; relative to the current folder."""
    storage_options: Annotated[dict[str, Any], NO_SETTING] = Field(default_factory=dict, repr=False)
    """Handed to fsspec; never written to results or logs."""
    chunk: Annotated[Edges | None, _or_null(values.edges)] = None
    """Edge of a zarr chunk of labels in pixels, or one per axis; null: 512 in 2-D, 64 in 3-D."""
    shard: Annotated[
        Edges | Literal["none"] | None,
        _or_null(lambda value: value if value == "none" else values.edges(value)),
    ] = None
    """Edge of a shard in pixels, or one per axis; null: 2048 in 2-D, 256 in 3-D; none: no
    sharding."""
    pyramid: Literal["mode", "nearest", "none"] = "mode"
    """How smaller levels are made: the most frequent label, the nearest pixel, or not at all."""
    mean_image: bool = False
    """Whether to write each image with its pixels replaced by their label's mean as well."""
    samples: Annotated[bool, NO_SETTING] = True
    """Whether to keep tables of pixels, so that another k, or more images, need not read again."""

    @field_validator("shard")
    @classmethod
    def _of_whole_chunks(cls, shard: Any, info: ValidationInfo) -> Any:
        chunk = info.data.get("chunk")
        if chunk is None or shard in (None, "none"):
            return shard
        chunks, shards = ((v,) if isinstance(v, int) else v for v in (chunk, shard))
        if len(chunks) != len(shards) and 1 not in (len(chunks), len(shards)):
            raise ValueError(f"has {len(shards)} axes where results.chunk has {len(chunks)}")
        # a single edge is that of every axis
        alike = len(chunks) == len(shards)
        for c, s in zip(chunks, shards, strict=True) if alike else product(chunks, shards):
            if s % c:
                raise ValueError(f"must hold whole chunks: {s} is no multiple of {c}")
        return shard


class Wait(_Section):
    """Workers to wait for, and how long."""

    workers: int | None = Field(default=None, ge=1)
    """How many to start with, if they come in time; one is enough in the end. Null: all of a
    cluster on this machine, one of any other."""
    timeout: float = Field(default=300.0, gt=0, allow_inf_nan=False)
    """Seconds to wait, at the start and whenever there is no worker at all; then the run ends."""


class Certificates(_Section):
    """PEM files of scheduler, workers and this process; their paths are the same on all hosts."""

    ca: Annotated[str, BeforeValidator(values.location)]
    """Certificate of the authority that signed the others."""
    cert: Annotated[str, BeforeValidator(values.location)]
    """Certificate of scheduler, workers and this process."""
    key: Annotated[str, BeforeValidator(values.location)]
    """Its private key."""


def _security(value: Any) -> Any:
    if value == "temporary" or isinstance(value, Certificates):
        return value
    if isinstance(value, Mapping) and set(value) == {"ca", "cert", "key"}:
        files = zip(value, values.each_of(value.items(), values.location), strict=True)
        return Certificates.model_construct(None, **dict(files))
    raise ValueError(
        "must be temporary, or {ca: ..., cert: ..., key: ...}, paths of PEM files; "
        f"found {_keys_or_value(value)}"
    )


class Cluster(_Section):
    """Which machines compute."""

    kind: str = Field("local", pattern=r"^[A-Za-z][A-Za-z0-9_.+-]*$")
    """local (Dask on this machine), threads (of this process), serial, address, scheduler_file,
    slurm, pbs, sge, lsf, htcondor, oar, ssh, mpi, kubernetes, gateway, custom."""
    options: dict[str, Any] = Field(default_factory=dict, repr=False)
    """Handed to the Dask cluster class; for kind address ``{address: tcp://host:8786}``, for
    custom ``{module: ..., class: ..., kwargs: {...}}``. Never written to results or logs."""
    scale: Annotated[
        int | dict[str, Any] | None,
        _or_null(values.workers),
        WithJsonSchema({"type": ["integer", "object", "null"], "minimum": 1}),
    ] = None
    """How many workers, or what the class's ``scale`` takes, such as ``{jobs: 4}``."""
    adapt: dict[str, Any] | None = None
    """As many workers as there is work for: what the class's ``adapt`` takes, such as
    ``{minimum: 1, maximum: 16}``."""
    wait: Annotated[Wait, _EMPTY_IF_NULL] = Field(default_factory=Wait)
    """When to start, and when to give up."""
    dask_config: dict[str, Any] = Field(default_factory=dict, repr=False)
    """Dask's own settings for this run, such as ``{distributed.comm.timeouts.connect: 60s}``."""
    security: Annotated[Literal["temporary"] | Certificates | None, _or_null(_security)] = None
    """TLS: certificates, or temporary ones, which local, mpi and batch systems can have."""
    insecure: bool = False
    """Whether scheduler, workers and dashboard may listen on a network without TLS."""

    @field_validator("adapt")
    @classmethod
    def _scaled_one_way(cls, adapt: Any, info: ValidationInfo) -> Any:
        if adapt is not None and info.data.get("scale") is not None:
            raise ValueError("clashes with cluster.scale; give one of the two")
        return adapt


class Config(_Section):
    """A whole config, checked, with every default filled in."""

    images: Images
    """What is segmented."""
    features: Features
    """Pixels as the algorithm sees them."""
    kmeans: KMeans
    """The algorithm."""
    results: Results
    """Where results go and how they are stored."""
    memory: Annotated[
        int | None,
        _or_null(values.parse_bytes),
        WithJsonSchema({"type": ["integer", "string", "null"], "examples": ["8GiB", "500MB"]}),
        NO_SETTING,
    ] = None
    """Bytes the whole run may use on this machine, or each worker of a cluster; null: a share of
    what is free."""
    cluster: Annotated[Cluster, NO_SETTING]
    """Which machines compute; a text names a file of this section, a kind, or a scheduler that
    runs: its address or its JSON file."""

    @model_validator(mode="before")
    @classmethod
    def _empty_sections(cls, config: Any) -> Any:
        """Take a section that is left out, or whose keys are all commented out, as defaults."""
        if not isinstance(config, dict):
            return config
        sections = ("images", "features", "kmeans", "results", "cluster")
        return config | {name: {} for name in sections if config.get(name) is None}

    @field_validator("results")
    @classmethod
    def _apart_from_images(cls, results: Results, info: ValidationInfo) -> Results:
        """Refuse to write around the images; results below them are passed over when listed."""
        images, ours = info.data.get("images"), values.normalized(results.path)
        for path in images.path if images else ():
            theirs = values.normalized(path)
            also = "" if path == results.path else f": {path}"
            if theirs == ours:
                problem = f"which images.path names too{also}"
            elif theirs.startswith(f"{ours.rstrip('/')}/"):
                problem = f"in which images.path {path!r} lies"
            else:
                continue
            raise values.InsideError(
                f"is {results.path!r}, {problem}; results need a place of their own", ("path",)
            )
        return results

    def resolved(self) -> dict[str, Any]:
        """Return everything as JSON values, defaults included, secrets hidden.

        `make_config` of it gives an equal config again where nothing had to be hidden.
        """
        config: dict[str, Any] = for_the_record(self.model_dump(mode="json", by_alias=True))
        for section in ("images", "results", "cluster"):
            for name in config[section].keys() & WITH_SECRETS:
                config[section][name] = dict.fromkeys(config[section][name], HIDDEN)
        return config

    def settings(self) -> dict[str, Any]:
        """Return what decides a result, as JSON values; results of equal settings may be mixed.

        Without every key that is marked with `NO_SETTING`; an input has a fingerprint of its own.
        """
        return settings_in(Config, self.resolved())
