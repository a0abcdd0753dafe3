"""An extension of griffe: examples that follow a docstring's text are shown as a section."""

import re
from typing import Any

import griffe

_FIRST = re.compile(r"^>>> ", re.MULTILINE)


class Doctests(griffe.Extension):
    """Puts numpydoc's heading before the first example where a docstring has none."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of one object that was just read."""
        docstring = obj.docstring
        if docstring is None or re.search(r"^Examples\n-+$", docstring.value, re.MULTILINE):
            return
        docstring.value = _FIRST.sub("Examples\n--------\n>>> ", docstring.value, count=1)
