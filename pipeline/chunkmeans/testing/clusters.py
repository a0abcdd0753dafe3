"""What every kind of cluster promises: `ClusterKindTests`, which each inherits."""

import re
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from chunkmeans import secrets
from chunkmeans.config import Cluster
from chunkmeans.engines import engine_size, job_script, open_engine, registry
from chunkmeans.engines.base import Engine
from chunkmeans.engines.kind import EngineKind
from chunkmeans.errors import ConfigError
from chunkmeans.testing import tasks

WORD = "tested"
"""What ``cluster.kind`` says in these tests."""
SECRET = "canary/Zq7+x0-of-a-test"
_VALUES: dict[str, Any] = {
    "scale": 2,
    "adapt": {"maximum": 2},
    "security": "temporary",
    "dask_config": {"distributed.comm.timeouts.connect": "60s"},
}


class ClusterKindTests:
    """Inherit, and state `kind`; options that it needs; whether a test may start it.

    Where the package that starts the cluster is not installed, only its absence is tested.
    """

    kind: ClassVar[type[EngineKind]]
    """The class."""
    options: ClassVar[Mapping[str, Any]] = {}
    """Options with which it can be planned."""
    offline: ClassVar[bool] = True
    """Whether its size is known without a scheduler that runs."""
    script: ClassVar[bool] = False
    """Whether it has a job script, or specification."""
    exposed: ClassVar[bool] = False
    """Whether it listens on a network, so that these options alone are refused."""
    starts: ClassVar[bool] = False
    """Whether a test may start it, on this machine, with two workers or fewer."""

    @pytest.fixture(autouse=True)
    def _registered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.register(monkeypatch)

    def register(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have `WORD` stand for the class, and start without known secrets."""
        monkeypatch.setattr(registry, "KINDS", SimpleNamespace(load=lambda _: self.kind))
        monkeypatch.setattr(secrets, "_known", set())

    @pytest.fixture
    def installed(self) -> None:
        """Skip where what starts the cluster is not installed."""
        dask = getattr(self.kind, "dask", None)
        for module in () if dask is None else filter(None, (dask.module, dask.needs)):
            pytest.importorskip(module, reason="what starts this cluster is not installed")

    @pytest.fixture
    def nothing_starts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make it an error to open a port, or to start a program."""

        def refuse(*_: object, **__: object) -> None:
            raise AssertionError("a plan opens no port, and starts no program")

        monkeypatch.setattr(socket.socket, "listen", refuse)
        monkeypatch.setattr(subprocess, "Popen", refuse)

    def section(self, more: Mapping[str, Any] | None = None, **keys: Any) -> Cluster:
        """Return a section ``cluster`` of this kind, with more options, and other keys."""
        return Cluster(
            kind=WORD, options={**self.options, **(more or {})}, **{"insecure": True, **keys}
        )

    @pytest.mark.usefixtures("installed", "nothing_starts")
    def test_its_size_is_known_before_it_is_started(self) -> None:
        if not self.offline:
            pytest.skip("a scheduler that runs is asked")
        size = engine_size(self.section(), memory=2**31)
        assert size.workers >= 1
        assert size.threads >= size.workers
        assert 2**20 < size.memory <= 2**31
        assert not size.assumed, "the memory was given"

    @pytest.mark.usefixtures("installed", "nothing_starts")
    def test_without_insecure_it_is_refused_only_where_it_listens_on_a_network(self) -> None:
        section = self.section(insecure=False)
        if self.exposed:
            with pytest.raises(ConfigError, match=r"would listen on .* without TLS"):
                job_script(section)
        else:
            job_script(section)

    @pytest.mark.usefixtures("installed", "nothing_starts")
    def test_its_script_is_shown_and_not_submitted(
        self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        text = job_script(self.section())
        assert bool(text) == self.script
        assert list(tmp_path.iterdir()) == [], "a plan leaves nothing behind"

    @pytest.mark.usefixtures("installed")
    def test_an_unknown_option_is_refused_by_its_key(self) -> None:
        with pytest.raises(ConfigError, match=rf"cluster\.options\.n_wrkers: kind {WORD} does not"):
            engine_size(self.section({"n_wrkers": 2}), memory=2**31)

    @pytest.mark.usefixtures("installed")
    def test_a_key_of_no_use_is_refused_by_its_name(self) -> None:
        for key in self.kind.unused:
            with pytest.raises(ConfigError, match=rf"cluster\.{key}: kind {WORD} has no use for"):
                job_script(self.section(**{key: _VALUES[key]}))

    @pytest.mark.usefixtures("installed")
    def test_a_value_in_place_of_a_section_of_dask_s_settings_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"dask_config\.distributed: is a section of"):
            job_script(self.section(dask_config={"distributed": 5}))

    def test_a_missing_package_is_an_error_that_states_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        dask = getattr(self.kind, "dask", None)
        if dask is None or not dask.install:
            pytest.skip("it is always there, or the user's own")
        for name in (dask.module, dask.module.partition(".")[0], dask.needs):
            if name and name != "distributed":
                monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setattr(
            "chunkmeans.engines.clusters.dask_class.find_spec",
            lambda name: None if name == dask.needs else find_spec(name),
        )
        what = re.escape(f"'{dask.install}'")
        with pytest.raises(ConfigError, match=f"{WORD} needs .*; pip install {what}"):
            job_script(self.section())

    @pytest.mark.usefixtures("installed")
    def test_no_error_and_no_script_shows_a_secret(
        self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        settings = {"site.token": SECRET}
        for section in (
            self.section({"token": SECRET}),
            self.section(dask_config=settings),
            self.section({"host": "0.0.0.0", "token": SECRET}, insecure=False),
        ):
            try:
                shown = job_script(section)
            except ConfigError as error:
                shown = "".join(traceback.format_exception(error))
            assert SECRET not in shown
            assert SECRET not in repr(section)

    @pytest.mark.usefixtures("installed")
    def test_it_starts_computes_and_closes(self) -> None:
        if not self.starts:
            pytest.skip("this machine cannot start it")
        engine: Engine
        with open_engine(self.section(), memory=2**31) as engine:
            assert engine.map_reduce(tasks.square, range(5), tasks.plus, name="sum") == 30
        engine.close()  # a second call does nothing
