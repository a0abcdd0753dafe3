"""From a YAML file, options of the command line or Python values to a checked `Config`."""

import json
import re
import shlex
from collections.abc import Sequence
from difflib import get_close_matches
from os import PathLike, fspath
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml.composer import ComposerError
from ruamel.yaml.parser import ParserError
from ruamel.yaml.scanner import ScannerError

from chunkmeans.config import positions
from chunkmeans.config.models import WITH_SECRETS, Config
from chunkmeans.config.settings import section_of
from chunkmeans.errors import ConfigError
from chunkmeans.secrets import without_secrets

_ADDRESS = re.compile(r"[a-z]+://.+|[A-Za-z0-9_.-]+:[0-9]+")
_DOTTED = re.compile(r"[\w./ -]+")
_LONG = 60
"""Letters above which an error does not repeat a value."""
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*")


def load_config(
    path: str | PathLike[str], overrides: Sequence[str] = (), *, cluster: str | None = None
) -> Config:
    """Read and check the config at `path`.

    Parameters
    ----------
    path
        YAML file. Relative paths in it are relative to the current folder, as on the command line.
    overrides
        ``key.of.the.config=value`` each, the value in YAML; a later one wins.
    cluster
        In place of the key `cluster`: a preset's name or file, a kind, or the address or JSON file
        of a scheduler that runs.

    Raises
    ------
    ConfigError
        If anything is wrong; a line per error, ``file:line:column: key: what``.
    """
    document = positions.read_yaml(path)
    if not isinstance(document.values, dict):
        raise ConfigError(
            f"{fspath(path)}:1:1: must hold keys such as images:, kmeans:, results:; "
            f"found {positions.shown(document.values)}"
        )
    return _config(document, overrides, cluster, Path(path).parent)


def make_config(*, overrides: Sequence[str] = (), cluster: Any = None, **sections: Any) -> Config:
    """Check a config that is given as Python values, a keyword per section.

    >>> make_config(images={"path": "a.tif"}, kmeans={"k": 4}, results={"path": "out"}).kmeans.k
    4

    Raises
    ------
    ConfigError
        As `load_config`, without file and line.
    """
    values = positions.plain_values(
        sections if cluster is None else {**sections, "cluster": cluster}
    )
    return _config(positions.Document(values), overrides, None, Path())


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema of a config, for editors."""
    schema = Config.model_json_schema(by_alias=True)
    cluster = schema["properties"]["cluster"]
    schema["properties"]["cluster"] = {
        "description": cluster.pop("description"),
        "anyOf": [cluster, {"type": "string"}],
    }
    schema["required"] = ["images", "kmeans", "results"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _config(
    document: positions.Document, overrides: Sequence[str], cluster: str | None, folder: Path
) -> Config:
    if cluster is not None:
        document.put(("cluster",), positions.Document(cluster, {(): f"--cluster {cluster}"}))
    _write_out_cluster(document, folder)
    for override in overrides:
        _override(document, override)
        _write_out_cluster(document, folder)
    try:
        return Config.model_validate(document.values)
    except ValidationError as error:
        # in the order of the file, not of the sections
        order = {place: index for index, place in enumerate(document.places.values())}
        found = [_placed(document, e) for e in error.errors(include_url=False)]
        found.sort(key=lambda line: order.get(line[0], 0))
        raise ConfigError("\n".join(_at(*line) for line in dict.fromkeys(found))) from None


def _override(document: positions.Document, text: str) -> None:
    """Put ``key=value`` into the document."""
    name, equals, value = text.partition("=")
    key = tuple(part.strip() for part in name.split("."))
    if not equals or not all(key):
        place = f"--set {name}" if _DOTTED.fullmatch(name) else "--set"
        raise ConfigError(f"{place}: must be KEY=VALUE, such as --set kmeans.k=8")
    repeated = _may_repeat(key, value)
    name = name if _DOTTED.fullmatch(name) else "KEY"  # all of a value may come before the =
    option = f"--set {text}" if repeated else f"--set {name}=..."
    try:
        parsed = positions.parse_yaml(value, option, lines=False)
    except ConfigError as error:
        if not isinstance(error.__cause__, ScannerError | ParserError | ComposerError):
            raise
        quoted = json.dumps(value if repeated else "...", ensure_ascii=False)
        raise ConfigError(
            f"{option}: is not valid YAML; if the value is text, it needs quotes of its own inside "
            f"those of the shell: --set {shlex.quote(f'{name}={quoted}')}; if it is a list or "
            f"mapping, a bracket or quote in it is not closed"
        ) from error
    document.put(key, parsed)


def _may_repeat(key: positions.Key, value: str) -> bool:
    """Whether an error may repeat what ``--set`` gives: of a key that is known to take no secret.

    Not of a section, of which any part may be one, nor of a key that is mistyped.
    """
    section: type[BaseModel] | None = Config
    for part in key:
        field = section.model_fields.get(str(part)) if section else None
        if field is None:
            return False
        section = section_of(field)
    mapping = "{" in value and ":" in value  # which that key may not take at all
    hidden = section is not None or _secret(key) or mapping or without_secrets(value) != value
    return len(value) <= _LONG and not hidden


def _write_out_cluster(document: positions.Document, folder: Path) -> None:
    """Replace a cluster that is a text by what it names; `folder` is that of the config."""
    text = document.values.get("cluster")
    if not isinstance(text, str):
        return
    place = document.place(("cluster",))
    preset = _preset(text, folder)
    if text.endswith(".json"):
        section = {"kind": "scheduler_file", "options": {"scheduler_file": text}}
    elif preset is None and _ADDRESS.fullmatch(text):
        section = {"kind": "address", "options": {"address": text}}
    elif preset is None and _WORD.fullmatch(text):
        section = {"kind": text}
    else:
        document.put(("cluster",), _cluster_file(text, preset, place))
        return
    document.put(("cluster",), positions.Document(section, {(): place}))


def _cluster_file(text: str, preset: Path | None, place: str) -> positions.Document:
    """Read a file of the section ``cluster``, with or without that word above it."""
    if preset is None and not text.endswith((".yaml", ".yml")) and "/" not in text:
        raise ConfigError(
            _at(place, f"cluster: must be a YAML file, an address such as tcp://host:8786, or a "
                f"kind such as local; found {text!r}")
        )  # fmt: skip
    try:
        named = positions.read_yaml(preset or Path(text).expanduser())
    except ConfigError as error:
        raise ConfigError(_at(place, f"cluster: {error}")) from error
    section = named.values
    if not isinstance(section, dict) or set(section) != {"cluster"}:
        return named
    places = {k[1:]: v for k, v in named.places.items() if k[:1] == ("cluster",)}
    return positions.Document(section["cluster"], places)


def _preset(text: str, folder: Path) -> Path | None:
    """Return the file that describes the cluster `text`; None if there is none.

    A path is one of the current folder, or else of the config's; a name alone is also looked for
    in ``clusters/`` beside the config and in ``configs/clusters/``.
    """
    word = _WORD.fullmatch(text)
    path = Path(f"{text}.yaml" if word else text).expanduser()
    found = [] if word else [path, folder / path]
    if path.name == str(path):
        found += [folder / "clusters" / path, Path("configs/clusters") / path]
    return next((p for p in found if p.suffix != ".json" and p.is_file()), None)


def _placed(document: positions.Document, error: ErrorDetails) -> tuple[str, str]:
    """Return where an error is, and ``key: what was wrong``."""
    key: positions.Key = error["loc"]
    if key and key[-1] == "[key]":
        key = key[:-1]
    cause = error.get("ctx", {}).get("error")
    key += getattr(cause, "inside", ())
    if error["type"] == "missing":  # it has no place: its section has
        place = document.place(key[:-1])
    elif error["type"] == "extra_forbidden":  # --set foo.bar=1 gives foo none, only foo.bar
        place = document.place(next((k for k in document.places if k[: len(key)] == key), key))
    else:
        place = document.place(key)
    return place, f"{positions.dotted(key)}: {_problem(error)}" if key else _problem(error)


def _secret(key: positions.Key) -> bool:
    """Whether a value there may be a password, or hold one."""
    return not WITH_SECRETS.isdisjoint(key)


def _at(place: str, message: str) -> str:
    return f"{place}: {message}" if place else message


_PROBLEMS = {
    "missing": "is missing; it has no default",
    "int_type": "must be a whole number{found}",
    "float_type": "must be a number{found}",
    "bool_type": "must be true or false{found}",
    "string_type": "must be text{found}; put it in quotes",
    "finite_number": "must be a finite number{found}",
    "greater_than_equal": "must be at least {ge:g}{found}",
    "less_than_equal": "must be at most {le}{found}",
    "less_than": "must be less than {lt}{found}",
    "string_pattern_mismatch": "must be a word such as local or serial{found}",
    "model_type": "must be a mapping of keys to values{found}",
    "dict_type": "must be a mapping of keys to values{found}",
    "invalid_key": "keys must be text; put it in quotes",
}
"""What pydantic finds, in the words of a config."""


def _problem(error: ErrorDetails) -> str:
    """Return what was wrong, in words."""
    key, kind, context = error["loc"], error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(key)
    if kind == "value_error":
        return str(context["error"])
    found = "" if _secret(key) else f", found {positions.shown(error['input'])}"
    if kind == "literal_error":
        words = list(map(str, get_args(_section(key).model_fields[str(key[-1])].annotation)))
        close = get_close_matches(str(error["input"]), words, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        return f"must be {', '.join(words[:-1])} or {words[-1]}{found}{hint}"
    return _PROBLEMS[kind].format(found=found, **context) if kind in _PROBLEMS else error["msg"]


def _section(key: positions.Key) -> type[BaseModel]:
    """Return the model that holds the last part of `key`."""
    section: type[BaseModel] = Config
    for part in key[:-1]:
        section = section_of(section.model_fields[str(part)]) or section
    return section


def _unknown(key: positions.Key) -> str:
    """Return which key was meant, or which there are."""
    wrong, section = str(key[-1]), _section(key)
    known = list(section.model_fields)
    if close := get_close_matches(wrong, known, n=1):
        return f"there is no such key; did you mean {positions.dotted((*key[:-1], close[0]))}?"
    for name, field in Config.model_fields.items():
        if (inner := section_of(field)) is not None and wrong in inner.model_fields:
            return f"there is no such key here; did you mean {name}.{wrong}?"
    return f"there is no such key; known here: {', '.join(known)}"
