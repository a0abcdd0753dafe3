"""Imported by workers that are to be slow: every task takes ``CHUNKMEANS_SLOW`` seconds more."""

import os
from time import sleep

from pipeline.engines import window

PAUSE = float(os.environ["CHUNKMEANS_SLOW"])


def dask_setup(worker):
    """Have every task rest before it begins."""
    plain = window.attempt

    def slow(task, item):
        sleep(PAUSE)
        return plain(task, item)

    window.attempt = slow
