"""Where a performance report goes, checked before the run: Dask writes it after all the work."""

import os
from pathlib import Path

from chunkmeans.errors import ConfigError


def refuse_place(report: str) -> None:
    """Refuse a place where no report can be written; of a URL nothing is known here."""
    if "://" in report:
        return
    file = Path(report)
    if file.is_dir():
        why = "is a folder; give a file, such as report.html"
    elif not file.parent.is_dir():
        why = f"there is no folder {file.parent}; make it, or give another place"
    elif not os.access(file if file.exists() else file.parent, os.W_OK):
        why = "may not be written; give another place"
    else:
        return
    raise ConfigError(f"performance report {report}: {why}")
