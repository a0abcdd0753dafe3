"""Which images of a run have the same content, for the catalogue."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pipeline.results.catalog import Row
from pipeline.sources.duplicates import find_duplicates
from pipeline.sources.location import is_url
from pipeline.steps.chunk import CONTENT
from pipeline.steps.image import Job

BUDGET = 2**32
"""Bytes that are read to compare files of one size, at most."""


def with_duplicates(jobs: Sequence[Job], rows: Mapping[str, Row]) -> dict[str, Row]:
    """Return `rows` with the id of the first image of the same content in each that repeats one.

    Files on this machine's file systems are compared: by size, then, if sizes are equal, by three
    blocks, then by all bytes, within `BUDGET`. Of an object store every comparison would be a
    download, so those are compared by their fingerprints only, where these are of the content.
    Masks do not count.
    """
    ended = [job for job in jobs if job.id in rows]
    first: dict[str, str] = {}
    marks: dict[str, str] = {}
    local = []
    for job in ended:
        mark = rows[job.id].fingerprint.partition(" mask ")[0]
        if mark.startswith(CONTENT):
            original = marks.setdefault(mark, job.id)
            if original != job.id:
                first[job.id] = original
        elif not is_url(job.path):
            local.append(job)
    found = find_duplicates([job.path for job in local], budget=BUDGET).first
    first |= {local[i].id: local[original].id for i, original in found.items()}
    return {
        name: replace(row, duplicate_of=now)
        if row.duplicate_of != (now := first.get(name, ""))
        else row
        for name, row in rows.items()
    }
