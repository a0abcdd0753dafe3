"""The layout of the package: sizes of folders and modules, one name for one thing."""

import ast
from collections import defaultdict
from pathlib import Path
from statistics import median

import chunkmeans

ROOT = Path(chunkmeans.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
OLD_WORDS = {
    "alone", "hold", "link", "notes", "window", "overtime", "few", "overheard", "earlier", "kept",
    "hearing", "marks", "packed", "turn",
}  # fmt: skip
"""Names that did not tell what they held."""


def defined(module):
    """Return the public names that a module defines at its top."""
    names = set()
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}


def test_no_folder_holds_more_than_twelve_modules():
    for folder in {module.parent for module in MODULES}:
        inside = [p for p in folder.glob("*.py") if p.name != "__init__.py"]
        assert len(inside) <= 12, folder


def test_modules_are_short():
    lines = [m.read_text().count("\n") for m in MODULES if m.name != "__init__.py"]
    assert max(lines) <= 400
    assert median(lines) < 160


def test_no_public_name_stands_for_two_things():
    places = defaultdict(list)
    for module in MODULES:
        for name in defined(module):
            places[name].append(str(module.relative_to(ROOT)))
    twice = {name: found for name, found in places.items() if len(found) > 1}
    assert not twice


def test_no_module_and_no_public_name_is_one_of_the_words_that_did_not_tell():
    for module in MODULES:
        assert module.stem not in OLD_WORDS, module
        assert not defined(module) & OLD_WORDS, module


def test_every_module_begins_with_what_it_holds():
    for module in MODULES:
        text = ast.get_docstring(ast.parse(module.read_text()))
        assert text, module
        assert text.splitlines()[0].endswith((".", ":")), module
