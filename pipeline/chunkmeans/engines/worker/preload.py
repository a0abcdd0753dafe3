"""Imported by every worker process when it starts: an interrupt is the driver's to handle.

Ctrl-C reaches all processes of a terminal. The driver ends the workers in order; without this
each of them would print a traceback of its own first.
"""

import signal


def dask_setup(worker: object) -> None:
    """Ignore interrupts in this process; called by Dask when the worker starts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
