"""Who may connect: only this machine, or holders of certificates, or all where `insecure` says so.

What reaches a Dask scheduler or worker can run programs as its user.
"""

import socket
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from itertools import zip_longest
from pathlib import Path
from typing import Any

import psutil
from distributed import Security

from chunkmeans.config import Cluster
from chunkmeans.errors import ConfigError

LOOPBACK = "127.0.0.1"

ALL = "every network"
"""Stands for all addresses of a machine, where Dask listens by default."""

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


def refuse_exposed(section: Cluster, *places: Any, where: str = "cluster") -> None:
    """Refuse to listen on a network without TLS, unless that was asked for.

    Parameters
    ----------
    section
        Of the config.
    places
        Names of interfaces and hosts where anything would listen: without any, on every network.
    where
        What of the config says so.
    """
    if section.insecure or section.security is not None:
        return
    for place in [place for place in places if place] or [ALL]:
        if not is_loopback(place):
            raise ConfigError(
                f"{where}: kind {section.kind} would listen on {place} without TLS, where all who "
                "reach it can run programs as you; give cluster.security (certificates, or "
                "temporary), or cluster.insecure: true where you trust all users of that network"
            )


def refuse_listening(section: Cluster, options: Mapping[str, Any]) -> None:
    """Refuse options by which a scheduler, a worker or a dashboard would listen on a network.

    Nested mappings count (``scheduler_kwargs``, ``worker_options``), and words of a command line
    (``worker_extra_args``), unless there is TLS, which dashboards have not, or the config says
    `insecure`.
    """
    for where, name, value in _addresses(options, "cluster.options"):
        if name not in _DASHBOARDS:
            refuse_exposed(section, value, where=where)
            continue
        # Dask takes several addresses, as a list or with commas between
        several = value if isinstance(value, list | tuple) else str(value).split(",")
        for one in () if value is None or section.insecure else several:
            host = str(one).rpartition("://")[2].rpartition(":")[0]
            if not is_loopback(host or ALL):
                raise ConfigError(
                    f"{where}: the dashboard would listen on {host or ALL}, for all users; give "
                    f"{LOOPBACK}:8787, or {LOOPBACK}:0 for any free port, and look at it through "
                    "ssh -L; or cluster.insecure: true"
                )


def is_loopback(place: Any) -> bool:
    """Whether an interface, or a host, is this machine's own and no other can reach it.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    name = str(place).rpartition("://")[2]
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1:  # a port
        name = name.partition(":")[0]
    addresses = psutil.net_if_addrs().get(name)
    if addresses is not None:
        inet = [a.address for a in addresses if a.family in (socket.AF_INET, socket.AF_INET6)]
        return bool(inet) and all(is_loopback(address) for address in inet)
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:  # the name of a host
        return False


def security_of(section: Cluster, temporary: bool = True, planned: bool = False) -> Security | None:
    """Return what Dask needs of the certificates; None where no TLS is asked for.

    Parameters
    ----------
    section
        Of the config.
    temporary
        Whether temporary certificates can reach the workers of this kind.
    planned
        Whether only a plan is made, for which no certificates are; None then also where
        certificates are files of other hosts, which need not be on this one.

    Raises
    ------
    ConfigError
        If they cannot, or cannot be made.
    """
    asked = section.security
    if asked is None or (planned and not temporary):
        return None
    if asked != "temporary":
        for name in ("ca", "cert", "key"):
            file = getattr(asked, name)
            if not Path(file).is_file():
                raise ConfigError(f"cluster.security.{name}: there is no file {file}")
        return Security(**arguments_of(asked.ca, asked.cert, asked.key))
    if not temporary:
        raise ConfigError(
            f"cluster.security: temporary certificates do not reach the workers of kind "
            f"{section.kind}; give files: {{ca: ..., cert: ..., key: ...}}"
        )
    if planned:
        return Security(**arguments_of("TEMPORARY-CA", "TEMPORARY-CERT", "TEMPORARY-KEY"))
    try:
        return Security.temporary()
    except ImportError:
        raise ConfigError(
            "cluster.security: temporary needs cryptography; pip install 'chunkmeans[tls]'"
        ) from None


def arguments_of(ca: str, cert: str, key: str) -> dict[str, Any]:
    """Return certificates of files as the arguments of `Security`, for every role."""
    found: dict[str, Any] = {"require_encryption": True, "tls_ca_file": ca}
    for role in ("client", "scheduler", "worker"):
        found |= {f"tls_{role}_cert": cert, f"tls_{role}_key": key}
    return found


def dashboard_here() -> str:
    """Return where a dashboard of this machine listens: Dask's usual port if free, on loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, 8787))
        except OSError:
            return f"{LOOPBACK}:0"
    return f"{LOOPBACK}:8787"


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
        yield from _addresses_in_command(value, where)
        for inner in value:
            yield from _addresses(inner, where)


def _addresses_in_command(texts: Iterable[Any], where: str) -> Iterator[tuple[str, str, Any]]:
    """As `_addresses`, of ``--host ADDRESS`` and ``--host=ADDRESS`` in what are texts of these."""
    words = [word for text in texts if isinstance(text, str) for word in text.split()]
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        option, equals, value = word.partition("=")
        name = _plain(option)
        if option.startswith("--") and name in _HOSTS | _DASHBOARDS:
            yield f"{where} ({option})", name, (value if equals else following).strip("'\"")


def _plain(name: Any) -> str:
    return str(name).lstrip("-").replace("-", "_")
