"""Images that kill whoever reads them; in a module, so that every process can import them."""

import logging
import os
import warnings
from dataclasses import dataclass, replace

from pipeline.sources.npy import NpyImage
from pipeline.steps.image import Job


class DeadlyImage(NpyImage):
    """Opens well; a process that decodes it ends there and then."""

    def decode(self, box, channels):
        os._exit(1)


@dataclass(frozen=True, repr=False)
class DeadlyJob(Job):
    """A job whose image kills when it is opened."""

    def open(self):
        os._exit(1)


@dataclass(frozen=True, repr=False)
class DeadlyToRead(Job):
    """A job whose image kills when it is read."""

    def open(self):
        source = super().open()
        return replace(source, image=DeadlyImage(self.path, self.options))


class DoubtfulImage(NpyImage):
    """Warns of every row that is read of it."""

    def decode(self, box, channels):
        for row in range(box.start[0], box.stop[0]):
            warnings.warn(f"row {row:02} is grey", UserWarning, stacklevel=1)
        logging.getLogger("tifffile").warning("a tag is odd")
        return super().decode(box, channels)


@dataclass(frozen=True, repr=False)
class DoubtfulToRead(Job):
    """A job whose image is read with warnings."""

    def open(self):
        source = super().open()
        return replace(source, image=DoubtfulImage(self.path, self.options))


def poisoned(job, kind):
    """Return a job of that kind in place of a plain one."""
    return kind(**{name: getattr(job, name) for name in job.__dataclass_fields__})
