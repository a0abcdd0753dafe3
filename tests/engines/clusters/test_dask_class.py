"""The import of what starts clusters."""

import signal
import sys
import types

import pytest
from chunkmeans.engines.clusters.dask_class import DaskClass
from chunkmeans.errors import ConfigError


def test_an_import_that_changes_what_an_interrupt_does_changes_nothing(tmp_path, monkeypatch):
    # as dask-jobqueue's does, which would end a run by Ctrl-C without a word
    (tmp_path / "rude.py").write_text(
        "import signal, sys\nsignal.signal(signal.SIGINT, lambda *_: sys.exit())\nclass Made: ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    before = signal.getsignal(signal.SIGINT)
    assert DaskClass("rude", "Made").load("custom").__name__ == "Made"
    assert signal.getsignal(signal.SIGINT) is before
    assert sys.modules.pop("rude")


def test_a_class_that_is_not_there_is_an_error_that_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "empty", types.ModuleType("empty"))
    with pytest.raises(ConfigError, match=r"cluster.options.class: there is no Made in empty"):
        DaskClass("empty", "Made").load("custom")


def test_a_module_that_is_not_there_is_an_error_without_an_extra():
    with pytest.raises(
        ConfigError, match=r"custom needs nowhere.at_all: No module named 'nowhere'$"
    ):
        DaskClass("nowhere.at_all", "Made").load("custom")
