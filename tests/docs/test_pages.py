"""What pages name exists: files, modules, commands and their options, names to import."""

import re
from importlib import import_module
from pathlib import Path

import chunkmeans
import pytest
import typer
from chunkmeans.cli.commands import app
from ruamel.yaml import YAML

from tests.docs.pages import DOCS, PAGES, ROOT, blocks, name, script

README = ROOT / "README.md"
COMMANDS = typer.main.get_command(app).commands
GROUPS = {"chunkmeans.exporters", "chunkmeans.clusters"}
"""Of entry points; those of the other seams are packages too."""


def prose(page):
    """Return a page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files_that_exist(page):
    links = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    local = [link.partition("#")[0] for link in links if "://" not in link]
    assert [link for link in local if link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_pages_of_the_site_link_to_nothing_outside_it(page):
    if DOCS in page.parents:
        links = re.findall(r"\]\(([^)\s#]+)[^)]*\)", prose(page))
        outside = [link for link in links if "://" not in link]
        assert [x for x in outside if DOCS not in (page.parent / x).resolve().parents] == []


def exists(dotted):
    """Whether a dotted name is a module, or a name in one."""
    parts, path = dotted.split("."), ROOT / "pipeline"
    for used, part in enumerate(parts):
        path /= part
        if not (path.is_dir() or path.with_suffix(".py").is_file()):
            if used != len(parts) - 1:
                return False
            return hasattr(import_module(".".join(parts[:used])), part)
    return True


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_modules_that_a_page_names_exist(page):
    named = set(re.findall(r"(?<![\w/.-])chunkmeans(?:\.[A-Za-z_]\w*)+", page.read_text()))
    named -= GROUPS
    assert sorted(dotted for dotted in named if not exists(dotted)) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_of_a_page_are_those_of_the_program(page):
    text = "\n".join(blocks(page.read_text(), "", "bash", "sh"))
    for line in re.findall(r"^(?:\$ |.*&& )?chunkmeans ([a-z].*?)(?:\s+#.*)?$", text, re.MULTILINE):
        command, *words = line.split()
        assert command in COMMANDS, line
        options = {word for param in COMMANDS[command].params for word in param.opts}
        assert {word for word in words if re.match(r"-{1,2}[a-z]", word)} <= options, line


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_names_that_a_page_imports_are_public(page):
    text = "\n".join(blocks(page.read_text(), "python"))
    for names in re.findall(r"^from chunkmeans import (.+)$", text, re.MULTILINE):
        assert set(names.split(", ")) <= set(chunkmeans.__all__)


def test_every_public_name_has_its_place_in_the_reference():
    page = (DOCS / "reference/python.md").read_text()
    shown = re.findall(r"^::: chunkmeans\.(\w+)$", page, re.MULTILINE)
    public = [name for name in chunkmeans.__all__ if not name.startswith("__")]
    assert sorted(shown) == sorted(public)


def test_every_page_is_in_the_navigation():
    config = script("hooks.py")["on_config"](YAML(typ="safe").load(ROOT / "mkdocs.yml"))

    def pages(entry):
        if isinstance(entry, str):
            return [entry]
        inside = entry.values() if isinstance(entry, dict) else entry
        return [page for part in inside for page in pages(part)]

    found = pages(config["nav"])
    assert sorted(found) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))


def test_the_readme_has_short_lines():
    lines = README.read_text().splitlines()
    assert [line for line in lines if len(line) > 400] == []


@pytest.mark.parametrize(
    ("page", "answers"),
    [
        ("docs/guide/clusters.md", "Choose one"),
        ("docs/reference/config.md", "### `kmeans.threshold`"),
        ("pipeline/chunkmeans/kmeans/lloyd.py", "def lloyd("),
    ],
)
def test_the_readme_leads_where_a_newcomer_wants_to(page, answers):
    assert f"]({page})" in README.read_text()
    assert answers in Path(ROOT, page).read_text()


def test_the_readme_begins_with_its_two_commands():
    first = blocks(README.read_text(), "bash")[0]
    lines = [line.partition("#")[0].strip() for line in first.splitlines()]
    assert lines == [
        "pip install . && chunkmeans run configs/quickstart.yaml",
        "pip install '.[test]' && pytest",
    ]
