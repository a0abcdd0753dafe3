"""Hosts of their own on one machine: network namespaces, joined by a bridge in another one.

Nothing outside of them is changed, and deleting them deletes all that is in them.
"""

import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

SUBNET = "10.213.77"


class NoNamespaces(Exception):
    """Why this machine cannot make them."""


@dataclass(frozen=True)
class Host:
    """A network namespace with an address."""

    name: str
    address: str
    cable: str
    """The bridge's end of its link."""

    @property
    def within(self):
        """What a command begins with that runs there."""
        return ("ip", "netns", "exec", self.name)


class Network:
    """Hosts that reach each other, and nobody else.

    Raises
    ------
    NoNamespaces
        When it is entered, if this machine cannot make network namespaces.
    """

    def __init__(self):
        self.mark = f"cm{uuid4().hex[:6]}"
        self.switch = f"{self.mark}-switch"
        self.hosts = []

    def __enter__(self):
        if shutil.which("ip") is None:
            raise NoNamespaces("there is no `ip`: install iproute2")
        if os.geteuid() != 0:
            raise NoNamespaces("network namespaces need root")
        try:
            ip("netns", "add", self.switch)
            ip("link", "add", "bridge", "type", "bridge", within=self.switch)
            ip("link", "set", "bridge", "up", within=self.switch)
        except OSError as error:
            self.__exit__()
            raise NoNamespaces(f"network namespaces cannot be made: {error}") from error
        return self

    def __exit__(self, *_):
        for name in (*(host.name for host in self.hosts), self.switch):
            with suppress(OSError):
                ip("netns", "delete", name)

    def add(self, name):
        """Return a new host."""
        number = len(self.hosts) + 1
        host = Host(f"{self.mark}-{name}", f"{SUBNET}.{number}", f"to{number}")
        self.hosts.append(host)
        ip("netns", "add", host.name)
        peer = ("peer", "name", "eth0", "netns", host.name)
        ip("link", "add", host.cable, "type", "veth", *peer, within=self.switch)
        ip("link", "set", host.cable, "master", "bridge", "up", within=self.switch)
        ip("addr", "add", f"{host.address}/24", "dev", "eth0", within=host.name)
        for device in ("lo", "eth0"):
            ip("link", "set", device, "up", within=host.name)
        return host

    def cut(self, host):
        """Pull the cable of a host."""
        ip("link", "set", host.cable, "down", within=self.switch)

    def mend(self, host):
        """Plug it in again."""
        ip("link", "set", host.cable, "up", within=self.switch)


def ip(*words, within=None):
    """Run ``ip``, in a namespace if one is named; an `OSError` says what it said."""
    namespace = () if within is None else ("-n", within)
    done = subprocess.run(["ip", *namespace, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")
