"""Imported by workers that are to be slow: every task takes ``CHUNKMEANS_SLOW`` seconds more."""

import os
from time import sleep

from chunkmeans.engines.dask import in_flight

PAUSE = float(os.environ["CHUNKMEANS_SLOW"])


def dask_setup(worker):
    """Have every task rest before it begins."""
    plain = in_flight.attempt

    def slow(task, item):
        sleep(PAUSE)
        return plain(task, item)

    in_flight.attempt = slow
