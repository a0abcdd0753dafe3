"""Which keys of the config decide a result, and what older results say that lack a key.

A key of the config is a setting unless it is marked with `NO_SETTING`. Outputs of other settings
are never mixed. A setting that a later version of chunkmeans adds is marked with `Added`, which
says what was done before there was the key: results that do not name it were made with that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

NO_SETTING = object()
"""Marks a key that decides no label, no mean and no stored pixel.

Such as where things lie, what opens them, what computes, what is refused, what is shown or kept
for later.
"""


@dataclass(frozen=True, slots=True)
class Added:
    """Marks a setting that came after the first format of results."""

    before: Any
    """Its value that does what was done before there was the key."""


def settings_in(section: type[BaseModel], found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a config, or of an older output's settings, decides a result.

    Keys that are no settings go, those that are missing get the value that did what was done
    before there was the key: of `Added`, else the default. Unknown keys stay: they decided
    something for the version that wrote them.

    Parameters
    ----------
    section
        `Config`, or one of its sections.
    found
        JSON values by key.
    """
    settings = dict(found)
    for name, field in section.model_fields.items():
        if NO_SETTING in field.metadata:
            settings.pop(name, None)
        elif (inner := section_of(field)) is not None:
            asked = settings.get(name) or {}
            settings[name] = settings_in(inner, asked) if isinstance(asked, Mapping) else asked
        elif name not in settings and not field.is_required():
            settings[name] = _before(field)
    return settings


def keys_added_later(section: type[BaseModel], prefix: str = "") -> dict[str, Any]:
    """Return the settings that came after the first format, dotted, and what was done before."""
    found: dict[str, Any] = {}
    for name, field in section.model_fields.items():
        if (inner := section_of(field)) is not None:
            found |= keys_added_later(inner, f"{prefix}{name}.")
        elif any(isinstance(mark, Added) for mark in field.metadata):
            found[prefix + name] = _before(field)
    return found


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """Return the section that a key of the config is; None: it is a value."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _before(field: FieldInfo) -> Any:
    marked = [mark.before for mark in field.metadata if isinstance(mark, Added)]
    return marked[0] if marked else field.get_default(call_default_factory=True)
