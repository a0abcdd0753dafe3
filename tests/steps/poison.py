"""Images that kill whoever reads them; in a module, so that every process can import them."""

import ctypes
import logging
import os
import threading
import time
import warnings
from dataclasses import dataclass, replace

from chunkmeans.sources.formats.npy import NpyImage
from chunkmeans.steps.job import Job


class Segfault(NpyImage):
    """Its decoder touches what it may not."""

    def decode(self, box, channels):
        ctypes.string_at(0)


class Hanging(NpyImage):
    """Its decoder never comes back, but lets other threads run."""

    def decode(self, box, channels):
        threading.Event().wait()


class Stuck(NpyImage):
    """Its decoder never comes back, nor lets anything else of Python run."""

    def decode(self, box, channels):
        ctypes.PyDLL(None).sleep(10_000)


class Greedy(NpyImage):
    """Its decoder takes all the memory there is, bit by bit."""

    def decode(self, box, channels):
        taken = []
        while True:
            taken.append(b"x" * 2**26)
            time.sleep(0.002)


@dataclass(frozen=True, repr=False)
class Poisoned(Job):
    """A job whose image is read by another class, named here."""

    kind: str = ""

    def look(self):
        source = super().look()
        return replace(source, image=globals()[self.kind](self.path, self.options))


@dataclass(frozen=True, repr=False)
class DeadlyJob(Job):
    """A job whose image kills when it is opened."""

    def look(self):
        os._exit(1)


class Doubtful(NpyImage):
    """Warns of every row that is read of it."""

    def decode(self, box, channels):
        for row in range(box.start[0], box.stop[0]):
            warnings.warn(f"row {row:02} is grey", UserWarning, stacklevel=1)
        logging.getLogger("tifffile").warning("a tag is odd")
        return super().decode(box, channels)


def poisoned(job, kind):
    """Return a job whose image is read by that class, or one that kills when it is opened."""
    fields = {name: getattr(job, name) for name in Job.__dataclass_fields__}
    return DeadlyJob(**fields) if kind == "DeadlyJob" else Poisoned(**fields, kind=kind)
