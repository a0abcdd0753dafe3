"""Pages that are made from the code are those that the code makes now, and hold every key."""

import re
from collections.abc import Mapping

import pytest
from ruamel.yaml import YAML

from tests.docs.pages import DOCS, PAGES, ROOT, name, script

REFERENCE = (DOCS / "reference/config.md").read_text()
KEYS = set(re.findall(r"^##+ `([\w.]+)`$", REFERENCE, re.MULTILINE))
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_generated_parts_are_those_of_the_code(page):
    text = page.read_text()
    assert script("hooks.py")["filled"](text) == text, "run nox -s reference"


def test_reference_of_the_command_line_has_every_command():
    page = (DOCS / "reference/command-line.md").read_text()
    commands = re.findall(r"^chunkmeans (\w+)", page, re.MULTILINE)
    assert {"run", "segment", "plan", "apply", "status", "inspect", "schema"} <= set(commands)


def keys(section, prefix=""):
    """Yield the dotted keys of a config, as far down as the reference names them."""
    for key, value in section.items():
        dotted = f"{prefix}{key}"
        yield dotted
        deeper = any(known.startswith(f"{dotted}.") for known in KEYS)
        if isinstance(value, Mapping) and deeper:
            yield from keys(value, f"{dotted}.")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_key_of_an_example_is_in_the_reference(path):
    document = YAML(typ="safe").load(path)
    prefix = "cluster." if path.parent.name == "clusters" else ""
    assert set(keys(document, prefix)) - KEYS == set()


def test_it_has_type_default_and_meaning_of_a_key():
    found = re.search(r"^### `kmeans\.max_iterations`\n\n(.+)\n\n(.+)$", REFERENCE, re.MULTILINE)
    assert found[1] == "*integer ≥ 1 · default `1000`*"
    assert found[2]
