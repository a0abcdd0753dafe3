"""An extension of griffe: what the docstrings of this package have and griffe does not expect."""

import re
from typing import Any

import griffe

_FIRST = re.compile(r"^>>> ", re.MULTILINE)
_SHARED = re.compile(r"^(\w+(?:, \w+)+)\n((?: +.*\n?)+)", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Gives examples a heading, and each of several parameters an entry of its own.

    griffe shows an example without a heading as a quotation, and of ``axes, level`` the type and
    the default of ``axes`` for both.
    """

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of one object that was just read."""
        docstring = obj.docstring
        if docstring is None:
            return
        text = docstring.value
        if not re.search(r"^Examples\n-+$", text, re.MULTILINE):
            text = _FIRST.sub("Examples\n--------\n>>> ", text, count=1)
        docstring.value = _SHARED.sub(_apart, text)


def _apart(found: re.Match[str]) -> str:
    """Return an entry for each of the names that share one."""
    text = found[2].rstrip("\n")
    return "\n".join(f"{name}\n{text}" for name in found[1].split(", ")) + "\n"
