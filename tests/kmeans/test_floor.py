"""What `chunkmeans.kmeans` needs: NumPy and numba."""

import subprocess
import sys

BLOCKED = (
    "dask", "distributed", "zarr", "tifffile", "imagecodecs", "PIL", "fsspec", "pydantic",
    "ruamel", "typer", "rich", "skimage",
)  # fmt: skip

CODE = """
import sys
from importlib.abc import MetaPathFinder

class Blocked(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocked())
try:
    import dask
except ImportError:
    pass
else:
    sys.exit("nothing is blocked")
import pkgutil
import chunkmeans.kmeans
for module in pkgutil.walk_packages(chunkmeans.kmeans.__path__, "chunkmeans.kmeans."):
    __import__(module.name)
    print(module.name.rpartition(".")[2])
"""


def test_every_module_imports_without_dask_and_readers():
    run = subprocess.run(
        [sys.executable, "-c", CODE.format(blocked=BLOCKED)], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert {"collect", "accumulator", "fit", "lloyd", "seeding"} <= set(run.stdout.split())
