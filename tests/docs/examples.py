"""The examples of the pages on extending, installed as another package would be."""

import re
from pathlib import Path

PAGES = Path(__file__).parents[2] / "docs/extending"


def install(page, folder, monkeypatch):
    """Install the modules of the examples, with the entry points that a page gives."""
    text = (PAGES / page).read_text()
    ((group, points),) = re.findall(r'entry-points\."?([\w.]+)"?\]\n(.*?)```', text, re.DOTALL)
    info = folder / "toy-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: toy\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n" + points.replace('"', ""))
    monkeypatch.syspath_prepend(PAGES / "examples")
    monkeypatch.syspath_prepend(folder)
