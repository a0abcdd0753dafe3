import sys
import types
from pathlib import Path

import pytest
from chunkmeans.cli.commands import app
from typer.testing import CliRunner

from tests.cli.runner import CONFIG


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def call(here, monkeypatch):
    """Call the program with a runner in place of the real one."""

    def call(*args, runner=None):
        if runner is not None:
            module = types.ModuleType("chunkmeans.api")
            module.run, module.plan, module.apply = runner.run, runner.plan, runner.apply
            monkeypatch.setitem(sys.modules, "chunkmeans.api", module)
        return CliRunner().invoke(app, list(args), prog_name="chunkmeans")

    return call
