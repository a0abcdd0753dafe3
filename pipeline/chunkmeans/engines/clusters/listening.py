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


def _addresses(value: Any, where: str) -> Iterator[tuple[str, str, Any]]:
    """Yield the key of each option in `value` that is an address, its name, and its value."""
    if isinstance(value, Mapping):
        given = any(value.get(name) for name in _HOSTS)
        for key, inner in value.items():
            name, inside = _plain(key), f"{where}.{key}"
            if name in _DASHBOARDS or (name in _HOSTS and (inner or not given)):
                yield inside, name, inner
            elif name not in _OTHERS:
                command = name in _COMMANDS and isinstance(inner, str)
                yield from _addresses([inner] if command else inner, inside)
    elif isinstance(value, list | tuple):
        words = [word for text in value if isinstance(text, str) for word in text.split()]
        for word, following in zip_longest(words, words[1:], fillvalue=""):
            option, equals, address = word.partition("=")  # --host ADDRESS and --host=ADDRESS
            name = _plain(option)
            if option.startswith("--") and name in _HOSTS | _DASHBOARDS:
                yield f"{where} ({option})", name, (address if equals else following).strip("'\"")
        for inner in value:
            yield from _addresses(inner, where)


def _plain(name: Any) -> str:
    return str(name).lstrip("-").replace("-", "_")
