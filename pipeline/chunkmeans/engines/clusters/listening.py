"""Finds every option that decides where a cluster listens, however deep it is nested."""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from chunkmeans.config import Cluster
from chunkmeans.engines.clusters.security import ALL, refuse_exposed, refuse_open_dashboard

_HOSTS = {"host", "ip", "interface", "listen_address", "contact_address"}
_DASHBOARDS = {"dashboard_address", "worker_dashboard_address"}
_COMMANDS = {"worker_command", "python"}
"""Texts in which options of a program may be."""
_OTHERS = {
    "connect_options", "env", "env_extra", "job_directives_skip", "job_extra",
    "job_extra_directives", "job_script_epilogue", "job_script_prologue",
    "submit_command_extra", "cancel_command_extra",
}  # fmt: skip
"""What goes to SSH, to a shell and to a batch system, where these names mean other things."""


def refuse_listening(section: Cluster, options: Mapping[str, Any]) -> None:
    """Refuse options by which a scheduler, a worker or a dashboard would listen on a network.

    Nested mappings count (``scheduler_kwargs``, ``worker_options``), and words of a command line
    (``worker_extra_args``), unless there is TLS, or the config says `insecure`.
    """
    for where, name, value in _addresses(options, "cluster.options"):
        if name in _DASHBOARDS:
            refuse_open_dashboard(section, value, where)
        else:
            refuse_exposed(section, value or ALL, where=where)


def _addresses(options: Mapping[str, Any], inside: str) -> Iterator[tuple[str, str, Any]]:
    """Yield the key of each option that is an address, its name, and its value."""
    given = any(options.get(name) for name in _HOSTS)
    for key, value in options.items():
        name, where = _plain(key), f"{inside}.{key}"
        if name in _DASHBOARDS or (name in _HOSTS and (value or not given)):
            yield where, name, value
        elif name in _COMMANDS and isinstance(value, str):
            yield from _addresses_in_command(value.split(), where)
        elif name not in _OTHERS:
            yield from _addresses_below(value, where)


def _addresses_below(value: Any, where: str) -> Iterator[tuple[str, str, Any]]:
    if isinstance(value, Mapping):
        yield from _addresses(value, where)
    elif isinstance(value, list | tuple):
        texts = [text for text in value if isinstance(text, str)]
        yield from _addresses_in_command([word for text in texts for word in text.split()], where)
        for inner in value:
            yield from _addresses_below(inner, where)


def _addresses_in_command(words: list[str], where: str) -> Iterator[tuple[str, str, Any]]:
    """As `_addresses`, of ``--host ADDRESS`` and ``--host=ADDRESS``."""
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        option, equals, value = word.partition("=")
        name = _plain(option)
        if option.startswith("--") and name in _HOSTS | _DASHBOARDS:
            yield f"{where} ({option})", name, (value if equals else following).strip("'\"")


def _plain(name: Any) -> str:
    return str(name).lstrip("-").replace("-", "_")
