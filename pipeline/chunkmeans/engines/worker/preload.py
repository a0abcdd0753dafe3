"""Preloaded by every worker process: interrupts are ignored, as the driver handles them.

Ctrl-C reaches all processes of a terminal. The driver ends the workers in order; without this
each of them would print a traceback of its own first.
"""

import signal


def dask_setup(worker: object) -> None:
    """Ignore interrupts in this process; called by Dask when the worker starts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
