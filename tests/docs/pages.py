"""Pages of the documentation, as the tests look at them."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])


def name(page):
    return page.relative_to(ROOT).as_posix()


def script(path):
    """Return what a script of the documentation defines."""
    return runpy.run_path(str(DOCS / path))


def blocks(text, *kinds):
    """Return the code blocks of a page that are of these kinds."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [code for kind, code in found if kind in kinds]
