"""The command line in a process of its own, cut in a `Way`, that says what happens."""

import json
import signal
import sys

from chunkmeans import api, cli
from chunkmeans.events import both

from tests.support.ways import Way


def main(given):
    """Take a `Way` as JSON and the words of a command line."""
    way, *words = given
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    plain = api.run

    def told(config, *, watch, **rest):
        return plain(config, watch=both(say, watch), **rest)

    api.run = told
    sys.argv = ["chunkmeans", *words]
    with Way(**json.loads(way)).taken():
        cli.main()


def say(event):
    """Print the kind of an event, and its phase if it has one."""
    print(f"{type(event).__name__} {getattr(event, 'phase', '')}".rstrip(), flush=True)
