"""Hooks of mkdocs: parts of pages that are made from the code, and folders in the navigation.

A page marks such a part by two comments, ``<!-- generated: config -->`` and ``<!-- end -->``. A
build makes it anew. It is committed as well, so that pages can be read in the repository;
``python docs/hooks.py`` writes it there, and a test compares the two.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_BOUNDS = {"minimum": "≥", "maximum": "≤", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}

Schema = Mapping[str, Any]


def on_config(config: Any) -> Any:
    """Replace a folder in the navigation by its pages, ``index.md`` first."""
    config["nav"] = [_expanded(entry) for entry in config["nav"]]
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Make the generated parts of a page anew."""
    return filled(markdown)


def filled(markdown: str) -> str:
    """Return a page with its generated parts as the code has them now."""
    return PART.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n\n{found[3]}", markdown)


def config_reference() -> str:
    """Return a section for every key of the config, from its JSON Schema."""
    from chunkmeans.config import config_schema

    schema = config_schema()
    kinds = schema["$defs"]
    lines: list[str] = []
    for name, section in schema["properties"].items():
        target = _target(section, kinds)
        if target is None:
            lines += [f"## `{name}`", *_key_lines(section, kinds)]
        else:
            lines += [f"## `{name}`", _text(section.get("description", target["description"]))]
            lines += _keys(name, target, kinds)
    return "\n\n".join(lines)


def command_line_reference() -> str:
    """Return a section for every command, from the program itself."""
    import typer
    from chunkmeans.cli.commands import app

    lines: list[str] = []
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option"]
        usage = " ".join(p.metavar + "..." * (p.nargs == -1) for p in arguments)
        must = " ".join(f"{p.opts[0]} {_value(p)}" for p in options if p.required)
        line = " ".join(
            filter(None, ["chunkmeans", name, usage, must, "[OPTIONS]" * bool(options)])
        )
        lines += [f"## `{name}`", f"```\n{line}\n```", command.help.strip()]
        rows = [(p.metavar, p.help or "") for p in arguments]
        rows += [(", ".join(p.opts) + _value(p, " "), p.help or "") for p in options]
        if rows:
            table = [f"| {_code(term)} | {text} |" for term, text in rows]
            lines.append("\n".join(["| argument or option | meaning |", "|---|---|", *table]))
    return "\n\n".join(lines)


def extending_pages() -> str:
    """Return a list of the pages on how to add a member of a seam."""
    lines = []
    for page in sorted((DOCS / "extending").glob("*.md")):
        if page.name != "index.md":
            title = page.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
            lines.append(f"- [{title}]({page.name})")
    return "\n".join(lines)


PARTS: Mapping[str, Callable[[], str]] = {
    "config": config_reference,
    "commands": command_line_reference,
    "extending": extending_pages,
}


def _expanded(entry: Any) -> Any:
    (title, value), *_ = entry.items()
    if not (isinstance(value, str) and value.endswith("/")):
        return entry
    pages = [page.relative_to(DOCS).as_posix() for page in sorted((DOCS / value).glob("*.md"))]
    return {title: sorted(pages, key=lambda page: not page.endswith("/index.md"))}


def _keys(prefix: str, section: Schema, kinds: Schema) -> Iterator[str]:
    """Yield the sections of all keys below `prefix`."""
    for name, key in section["properties"].items():
        dotted = f"{prefix}.{name}"
        yield f"### `{dotted}`"
        yield from _key_lines(key, kinds, required=name in section.get("required", ()))
        for inner in _mappings(key, kinds):
            yield from _keys(dotted, inner, kinds)


def _key_lines(key: Schema, kinds: Schema, *, required: bool = False) -> Iterator[str]:
    facts = [_type(key, kinds)]
    if required:
        facts.append("required")
    elif "default" in key:
        facts.append(f"default `{_yaml(key['default'])}`")
    yield f"*{' · '.join(facts)}*" if facts[0] else ""
    yield _text(key.get("description", ""))


def _target(section: Schema, kinds: Schema) -> Schema | None:
    """Return the section that a key of the top level stands for, if it is one."""
    return next(iter(_mappings(section, kinds)), None)


def _mappings(key: Schema, kinds: Schema) -> Iterator[Schema]:
    """Yield the mappings with keys of their own that a key may hold."""
    for schema in (key, *key.get("anyOf", ())):
        if "$ref" in schema:
            yield kinds[schema["$ref"].rpartition("/")[2]]


def _type(schema: Schema, kinds: Schema) -> str:
    """Return what a key may hold, in words."""
    if "$ref" in schema:
        names = kinds[schema["$ref"].rpartition("/")[2]]["properties"]
        return f"mapping of {', '.join(f'`{name}`' for name in names)}"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(part, kinds) for part in schema["anyOf"]))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    names = schema.get("type", "anything")
    bounds = " and ".join(f"{sign} {schema[at]}" for at, sign in _BOUNDS.items() if at in schema)
    names = [names] if isinstance(names, str) else names
    words = {"object": "mapping", "array": "list", "boolean": "true or false", "null": "`null`"}
    text = " or ".join(words.get(name, name) for name in names)
    if names == ["array"] and "items" in schema:
        items = _type(schema["items"], kinds)
        text = f"list of ({items})" if " or " in items else f"list of {items}"
    return f"{text} {bounds}".strip()


def _yaml(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _text(docstring: str) -> str:
    """Return a docstring's text as Markdown."""
    return " ".join(docstring.replace("``", "`").split())


def _value(option: Any, before: str = "") -> str:
    """Return what follows an option, such as ``NAME``; nothing after a switch."""
    return "" if option.is_flag else before + (option.metavar or option.name.upper())


def _code(text: str) -> str:
    """Return code for a cell of a table; a bar would end the cell."""
    return f"<code>{escape(text).replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"


if __name__ == "__main__":
    for page in DOCS.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        page.write_text(filled(text), encoding="utf-8")
