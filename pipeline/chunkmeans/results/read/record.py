"""The record of a run, ``run.json``: what was asked, by which versions, and how it ended."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from hashlib import blake2b, sha256
from typing import Any, Literal

from chunkmeans.config import Config
from chunkmeans.config.settings import keys_added_later, settings_in
from chunkmeans.errors import ResultError
from chunkmeans.results.store import versions
from chunkmeans.results.store.plain_json import plain, to_json
from chunkmeans.results.store.store import RECORD, Store
from chunkmeans.results.store.versions import FORMAT, FORMAT_MINOR, refuse_newer, versions_now

State = Literal["running", "finished", "failed", "interrupted"]


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What a run leaves to be understood by; fields are in the order of ``run.json``."""

    format: int = FORMAT
    """Version of the layout of the output; see `chunkmeans.results.store.versions`."""
    format_minor: int = FORMAT_MINOR
    """Version of what was added to that."""
    state: State = "running"
    counts: Mapping[str, int] = field(default_factory=dict)
    """Inputs by state."""
    images: int = 0
    """Inputs of the run; those that `counts` does not have yet are pending."""
    pending: int = 0
    """Inputs of the run that have not ended yet."""
    ended: int = 0
    """Inputs that ended since the run began, for its rate."""
    others: int = 0
    """Images of earlier runs in the catalogue, which this run does not name."""
    problems: tuple[tuple[str, str], ...] = ()
    """Id and reason of the images that failed last, the latest last."""
    pixels: int = 0
    """Pixels of all inputs that ended well."""
    nbytes: int = 0
    """Their decoded bytes."""
    seconds: float = 0.0
    """Time of the run, seconds."""
    memory_planned: int | None = None
    """Bytes the plan allows."""
    memory_peak: int | None = None
    """Bytes at the highest, as far as measured."""
    inertia: float | None = None
    """Of a collection's fit."""
    iterations: int | None = None
    """Of a collection's fit."""
    residual: float | None = None
    """Of a collection's fit: E of its last iteration."""
    fingerprint: str
    """Of `settings` and the algorithm, see `settings_fingerprint`."""
    versions: Mapping[str, str] = field(default_factory=versions_now)
    """Of chunkmeans and of what it stands on."""
    settings: Mapping[str, Any]
    """What of `config` decides a result: outputs of other settings are never mixed."""
    config: Mapping[str, Any]
    """The resolved config, without secrets."""

    def to_json(self) -> str:
        """Return the record as it stands in ``run.json``."""
        document: dict[str, Any] = {}
        for name, (section, key) in _PLACES.items():
            inside = document.setdefault(section, {}) if section else document
            inside[key] = getattr(self, name)
        document["problems"] = [{"id": name, "reason": reason} for name, reason in self.problems]
        document["config"] = _without_storage_options(plain(self.config))
        return to_json(document, indent=2) + "\n"


_PLACES = {each.name: ("", each.name) for each in fields(RunRecord)} | {
    "images": ("images", "named"),
    "pending": ("images", "pending"),
    "ended": ("images", "ended"),
    "others": ("images", "others"),
    "pixels": ("totals", "pixels"),
    "nbytes": ("totals", "bytes"),
    "seconds": ("totals", "seconds"),
    "memory_planned": ("memory", "planned"),
    "memory_peak": ("memory", "peak"),
}
"""Where each field stands in ``run.json``: its section, none where that is empty, and its key."""
_BEFORE: dict[str, Any] = {"format_minor": 0}
"""Fields that came after the first format, and what a record without them means."""


def write_record(store: Store, record: RunRecord) -> None:
    """Write `record` as ``run.json``, whole or not at all."""
    store.write_text(RECORD, record.to_json())


def read_record(store: Store) -> RunRecord:
    """Return what ``run.json`` holds. Unknown keys are passed over.

    Raises
    ------
    ResultError
        If there is none, it is damaged, or written by a newer chunkmeans.
    """
    text, path = store.read_text(RECORD), store.join(RECORD)
    try:
        data = json.loads(text)
        refuse_newer(data["format"], path)
        found: dict[str, Any] = {}
        for name, (section, key) in _PLACES.items():
            inside = data.get(section, {}) if section else data
            found[name] = (_BEFORE | inside)[key]
        found["problems"] = tuple((each["id"], each["reason"]) for each in found["problems"])
        for name in ("inertia", "residual"):
            found[name] = None if found[name] is None else float(found[name])
        return RunRecord(**found)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultError(
            f"{path}: is no record of a run, or is damaged: {error!r}; restore it, or choose "
            "another results.path; if all beside it is of chunkmeans, delete that folder and "
            "run again"
        ) from error


def settings_fingerprint(settings: Mapping[str, Any]) -> str:
    """Return a text that is the same where the settings are, and the algorithm's version.

    A key that came later counts only where it is not what was done before there was the key, so
    that results made without it are still those of the same settings.
    """
    later = keys_added_later(Config)
    flat = {
        key: value
        for key, value in sorted(_flat(plain(settings)))
        if key not in later or value != plain(later[key])
    }
    return sha256(to_json([versions.ALGORITHM_VERSION, flat]).encode()).hexdigest()


def content_mark(value: Any) -> str:
    """Return a short text that is the same where a JSON value and the algorithm's version are."""
    text = to_json([versions.ALGORITHM_VERSION, value])
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return what differs between the settings of an output and those asked for, a line each.

    Keys that the output does not name count as what was done then.

    >>> differences({"kmeans": {"k": 4}}, {"kmeans": {"k": 8, "seed": 0}})
    ['kmeans.k: 4 -> 8']
    """
    before, after = (
        {key: to_json(value) for key, value in _flat(plain(settings_in(Config, settings)))}
        for settings in (old, new)
    )
    return [
        f"{key}: {before.get(key, '(none)')} -> {after.get(key, '(none)')}"
        for key in before | after
        if before.get(key) != after.get(key)
    ]


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and their values."""
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield from _flat(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner


def _without_storage_options(value: Any) -> Any:
    """Leave out what may open a store, whatever was handed in."""
    if isinstance(value, dict):
        return {k: _without_storage_options(v) for k, v in value.items() if k != "storage_options"}
    return value
