"""Images that kill whoever reads them; in a module, so that every process can import them."""

import os
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


def poisoned(job, kind):
    """Return a job of that kind in place of a plain one."""
    return kind(**{name: getattr(job, name) for name in job.__dataclass_fields__})
