"""The example of docs/extending/exporter.md: it conforms, and the command finds it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from chunkmeans.results.read.catalog import Row, write_catalog
from chunkmeans.results.read.record import RunRecord, write_record
from chunkmeans.results.store.store import Store
from chunkmeans.testing import ExporterTests

from tests.results.examples import finished, image_info, image_labels
from tests.support.places import PYTHONPATH

EXAMPLES = Path(__file__).parents[2] / "docs/extending/examples"


def read_toy(path):
    _, width, height, _, *labels = path.read_text().split()
    return np.array(labels, int).reshape(int(height), int(width))


class TestToyExporter(ExporterTests):
    @pytest.fixture
    def exporter(self, monkeypatch):
        monkeypatch.syspath_prepend(EXAMPLES)
        from toy_exporter import ToyExporter

        return ToyExporter()

    def read_labels(self, path):
        return read_toy(path)


def test_the_command_exports_to_toy(tmp_path):
    store = Store(str(tmp_path / "out"))
    labels = image_labels((20, 30))
    finished(store, image_info((20, 30)), labels)
    write_catalog(store, [Row("a", "a.tif", "done", store="images/a.ome.zarr")])
    record = RunRecord(
        config={}, settings={}, fingerprint="f", state="finished", counts={"done": 1}, pixels=600,
        nbytes=600, seconds=1.0,
    )  # fmt: skip
    write_record(store, record)
    installed = tmp_path / "site"
    (installed / "toy-1.dist-info").mkdir(parents=True)
    (installed / "toy-1.dist-info/METADATA").write_text("Name: toy\nVersion: 1\n")
    (installed / "toy-1.dist-info/entry_points.txt").write_text(
        "[chunkmeans.exporters]\ntoy = toy_exporter:ToyExporter\n"
    )
    path = os.pathsep.join([str(installed), str(EXAMPLES), PYTHONPATH])
    command = [sys.executable, "-c", "from chunkmeans.cli import main; main()", "export"]
    done = subprocess.run(
        [*command, "out", "--to", "toy", "-o", "files"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "written   files/a.pgm\n"), done.stderr
    np.testing.assert_array_equal(read_toy(tmp_path / "files/a.pgm"), labels)
