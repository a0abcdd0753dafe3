"""Members of a seam are found by name, and refused with what is wrong with them."""

import sys
import types
from abc import ABC, abstractmethod
from importlib.metadata import EntryPoint

import pytest
from chunkmeans import ConfigError
from chunkmeans.seam import Seam


class Base(ABC):
    @abstractmethod
    def act(self):
        """Do it."""


class Ours(Base):
    def act(self):
        return "ours"


class Theirs(Base):
    def act(self):
        return "theirs"


class Half(Base):
    pass


@pytest.fixture
def seam(monkeypatch):
    module = types.ModuleType("a_package")
    module.Ours, module.Theirs, module.Half, module.number = Ours, Theirs, Half, 7
    monkeypatch.setitem(sys.modules, "a_package", module)
    installed = {
        "first": "a_package:Theirs", "theirs": "a_package:Theirs", "half": "a_package:Half",
        "number": "a_package:number", "gone": "no_such_package:Theirs",
    }  # fmt: skip
    points = [EntryPoint(name, value, "a.group") for name, value in installed.items()]
    monkeypatch.setattr(
        "chunkmeans.seam.entry_points", lambda group: points if group == "a.group" else []
    )
    return Seam[Base]("thing", Base, {"first": "a_package:Ours"}, ("a.group",), "key.of.config")


def test_our_own_and_installed_ones_are_imported_by_name(seam):
    assert seam.load("theirs") is Theirs
    assert seam.names() == ("first", "theirs", "half", "number", "gone")


def test_a_name_of_ours_stays_ours(seam):
    assert seam.load("first") is Ours


def test_an_unknown_name_is_refused_with_the_nearest_or_all(seam):
    with pytest.raises(ConfigError, match=r"key\.of\.config: there is no thing 'their'; did you"):
        seam.load("their")
    with pytest.raises(ConfigError, match="no thing 'xyz'; known are first, theirs, half, number"):
        seam.load("xyz")
    with pytest.raises(ConfigError, match=r"^there is no thing 'a'; none is installed"):
        Seam("thing", Base, {}, ("empty.group",)).load("a")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gone", "'no_such_package:Theirs' for 'gone' cannot be imported: No module named"),
        ("number", "'a_package:number' for 'number' is not a subclass of .*Base; its author"),
        ("half", "'a_package:Half' for 'half' lacks act of .*Base; its author"),
    ],
)
def test_one_that_cannot_be_used_is_refused_by_name(seam, name, words):
    with pytest.raises(ConfigError, match=words):
        seam.load(name)
