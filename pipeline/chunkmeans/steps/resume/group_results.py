"""What images that share means leave in the output besides their rows: the model, the totals."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.model import Model
from chunkmeans.results.models.models import model_path, model_pool, read_model, write_model
from chunkmeans.results.read.catalog import Row
from chunkmeans.results.store.store import image_path
from chunkmeans.results.write.totals import totals_of
from chunkmeans.steps.job import Job
from chunkmeans.steps.resume.catalog_rows import stored_row
from chunkmeans.steps.resume.inventory import labelled_in
from chunkmeans.steps.resume.ledger import Ledger


@dataclass(frozen=True)
class LedgerGroup:
    """Results of a group of images in the output of a ledger."""

    book: Ledger
    group: str | None
    """None: all images."""

    def whole(self, pool: str, jobs: Sequence[Job]) -> Sequence[Row]:
        """Return the rows of `jobs`, if the model is of `pool` and so are the labels of all."""
        store = self.book.store
        if model_pool(store, self.group) != pool:
            return ()
        rows = []
        for job in jobs:
            image = labelled_in(store, image_path(job.id), pool)
            if image is None:
                return ()
            rows.append(stored_row(image, job.id, job))
        if self.group is None:
            self.book.record_fit(read_model(store))
        return rows

    def begin(self, pool: str, jobs: Iterable[Job]) -> dict[str, tuple[Row, Moments]]:
        """Return the rows and exact totals of `jobs` that are labelled by means of this `pool`.

        A model and labels by any other means are deleted, those of images that could be read
        before included: old and new are never mixed.
        """
        store, found = self.book.store, {}
        if model_pool(store, self.group) != pool:
            store.delete(model_path(self.group))
        there = set(store.image_names())
        pooled = {job.id: job for job in jobs}
        for job in self.book.jobs:
            if job.group != self.group or job.id not in there:
                continue
            path = image_path(job.id)
            image = labelled_in(store, path, pool) if job.id in pooled else None
            written = None if image is None else totals_of(store, path, image.attributes)
            if image is not None and written is not None:
                found[job.id] = (stored_row(image, job.id, pooled[job.id]), written)
            else:
                store.delete(path)
        return found

    def keep(self, model: Model, attributes: Mapping[str, Any]) -> None:
        """Write the model; `attributes` name its pool and its pixels."""
        write_model(self.book.store, self.group, model, attributes)
        if self.group is None:
            self.book.record_fit(model)
