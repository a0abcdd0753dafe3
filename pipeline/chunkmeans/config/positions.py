"""YAML as plain values that remember where each of them was written.

Only the words of YAML 1.2 itself are understood: a tag that would build an object is an error,
and so is a key that is given twice. Nothing from a file is ever executed.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date
from itertools import count
from numbers import Integral, Real
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from chunkmeans.errors import ConfigError

LARGEST_CONFIG = 16 * 2**20
"""Bytes a config may have; more is another kind of file."""
MOST_VALUES = 500_000
"""Values a config may hold once its aliases are written out."""

Key = tuple[str | int, ...]


@dataclass
class Document:
    """Nested plain values (dict, list, str, int, float, bool, None) and where each was written."""

    values: Any
    places: dict[Key, str] = field(default_factory=dict)
    """Where a value was written, by its path of keys: ``file:line:column`` or an option."""

    def place(self, key: Key) -> str:
        """Return where `key` was written, or else the nearest of its parents; "" if nowhere."""
        for length in range(len(key), -1, -1):
            if key[:length] in self.places:
                return self.places[key[:length]]
        return ""

    def put(self, key: Key, other: "Document") -> None:
        """Replace what is at `key` by the whole of `other`; parents are made where missing.

        Raises
        ------
        ConfigError
            If a parent holds something that has no keys.
        """
        node = self.values
        for depth, part in enumerate(key[:-1]):
            if node.get(part) is None:
                node[part] = {}
            node = node[part]
            if not isinstance(node, dict):
                parent = dotted(key[: depth + 1])
                what = "text" if isinstance(node, str) else shown(node)  # may be a secret
                raise ConfigError(
                    f"{other.place(())}: {dotted(key)}: {parent} is {what} and has no "
                    f"keys; set {parent} as a whole"
                )
        node[key[-1]] = other.values
        others = {k: v for k, v in self.places.items() if k[: len(key)] != key}
        self.places = others | {key + k: v for k, v in other.places.items()}


def read_yaml(path: str | PathLike[str]) -> Document:
    """Read a YAML file of at most 16 MiB.

    Raises
    ------
    ConfigError
        If it is missing, a folder, too large, not UTF-8, empty or not plain YAML.
    """
    name = fspath(path)
    try:
        with Path(path).open("rb") as file:
            content = file.read(LARGEST_CONFIG + 1)
    except (OSError, ValueError) as error:
        reasons: dict[type, str] = {
            FileNotFoundError: "there is no such file",
            IsADirectoryError: "this is a folder; give the YAML file in it",
            PermissionError: "it may not be read; check its permissions",
        }
        raise ConfigError(f"{name}: {reasons.get(type(error), str(error))}") from error
    if len(content) > LARGEST_CONFIG:
        raise ConfigError(
            f"{name}: is larger than {LARGEST_CONFIG:,} bytes, so this is no config; "
            f"for an image use: chunkmeans segment IMAGE -k 4 -o OUT"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise ConfigError(
            f"{name}:{line}:{column}: is not UTF-8 text (byte 0x{content[error.start]:02x}); "
            f"if this is a config, save it as UTF-8"
        ) from error
    document = parse_yaml(text, name)
    if document.values is None:
        raise ConfigError(f"{name}:1:1: is empty")
    return document


def parse_yaml(text: str, name: str, *, lines: bool = True) -> Document:
    """Return `text` as plain values.

    Parameters
    ----------
    text
        YAML 1.2, one document.
    name
        File or option, for the places.
    lines
        Whether places carry line and column, or are `name` alone.

    Raises
    ------
    ConfigError
        If it is not plain YAML; the message begins with the place.
    """

    def at(line: int, column: int) -> str:
        return f"{name}:{line + 1}:{column + 1}" if lines else name

    try:
        node = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = at(mark.line, mark.column) if mark else at(0, 0)
        raise ConfigError(f"{place}: {_in_words(error)}") from error
    except RecursionError as error:
        raise ConfigError(f"{at(0, 0)}: is nested too deeply") from error
    except (YAMLError, ValueError) as error:
        # without the value that does not fit, which may be a secret: "... base 10: 'text'"
        reason = str(error).splitlines()[0].partition(";")[0].partition(": '")[0]
        raise ConfigError(f"{at(0, 0)}: is not valid YAML: {reason}") from error
    except (AttributeError, TypeError, LookupError) as error:  # what "!!set a" makes of ruamel
        raise ConfigError(
            f"{at(0, 0)}: has a tag (!!...) that does not fit its value; a config holds plain "
            f"values only"
        ) from error
    return _plain_document(node, at)


def plain_values(value: Any) -> Any:
    """Return a Python value as YAML would give it: dict, list, str, int, float, bool, None.

    Arrays become lists, paths become text, NumPy's numbers become Python's; what has no such
    form stays, for the check of its key to refuse.
    """
    if isinstance(value, Mapping):
        return {k: plain_values(v) for k, v in value.items()}
    if hasattr(value, "tolist"):
        return plain_values(value.tolist())
    if isinstance(value, PathLike):
        return fspath(value)
    if isinstance(value, bool | str | bytes) or value is None:
        return value
    if isinstance(value, Sequence):
        return [plain_values(v) for v in value]
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def dotted(key: Key) -> str:
    """Return the path of keys as it is written in messages.

    >>> dotted(("images", "path", 1))
    'images.path.1'
    """
    return ".".join(map(str, key))


def shown(value: object) -> str:
    """Return the value as a message shows it, on one line and never long.

    >>> shown(None), shown(True), shown("a"), shown({"k": 1}), shown([1, 2])
    ('null', 'true', "'a'", 'a mapping', '[1, 2]')
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple) and (len(repr(value)) > 60 or _holds_mapping(value)):
        return f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _holds_mapping(value: Any) -> bool:
    """Whether there is a mapping in nested lists, in which a secret may be."""
    nested = isinstance(value, list | tuple)
    return isinstance(value, Mapping) or (nested and any(map(_holds_mapping, value)))


def _plain_document(node: Any, at: Callable[[int, int], str]) -> Document:
    """Return ruamel's round-trip nodes, which know their lines, as plain values."""
    places: dict[Key, str] = {(): at(0, 0)}
    seen = count(1)

    def plain(node: Any, key: Key) -> Any:
        if next(seen) > MOST_VALUES:
            raise ConfigError(
                f"{places[()]}: holds more than {MOST_VALUES:,} values once its aliases are "
                f"written out"
            )
        if len(key) > 64:
            raise ConfigError(f"{places[key]}: is nested too deeply")
        tag = getattr(getattr(node, "tag", None), "value", None)
        if tag is not None or isinstance(node, bytes | Set):
            raise ConfigError(
                f"{places[key]}: {f'{dotted(key)}: ' if key else ''}has the tag "
                f"{str(tag or type(node).__name__).replace('tag:yaml.org,2002:', '!!')}; a config "
                f"holds plain values only: text, numbers, true, false, null, lists, mappings"
            )
        lines = getattr(node, "lc", None)
        if isinstance(node, Mapping):
            # a key that came in by a merge (<<) has no place of its own
            known = (lines.data or {}) if lines else {}
            return {name: inner(node[name], (*key, name), known.get(name)) for name in node}
        if isinstance(node, Sequence) and not isinstance(node, str):
            written = [lines.item(index) if lines else None for index in range(len(node))]
            return [inner(node[i], (*key, i), place) for i, place in enumerate(written)]
        return plain_values(node)

    def inner(node: Any, key: Key, written: Sequence[int] | None) -> Any:
        """Return the value at `key`, written at that line and column or where its parent is."""
        places[key] = at(*written[:2]) if written else places[key[:-1]]
        return plain(node, key)

    return Document(plain(node, ()), places)


def _in_words(error: MarkedYAMLError) -> str:
    """Return what the parser found, without its advice on its own Python API."""
    problem = str(error.problem or error.context or "unreadable").splitlines()[0]
    if problem.startswith("found duplicate key"):
        name = problem.split('"')[1]
        return f"{name}: this key is given twice; keep one of them"
    if "undefined alias" in problem:
        return "is not valid YAML: a text that begins with * needs quotes"
    return f"is not valid YAML: {problem}"
