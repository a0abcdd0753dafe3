"""Where the checkout lies, and what Python has to look through to import it and its tests."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHONPATH = os.pathsep.join([str(ROOT / "pipeline"), str(ROOT)])
