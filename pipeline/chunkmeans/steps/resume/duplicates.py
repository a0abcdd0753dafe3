"""Which images of a run have the same content, for the catalogue."""

from collections.abc import MutableMapping, Sequence
from dataclasses import replace

from chunkmeans.results.read.catalog import Row
from chunkmeans.sources.files.paths import is_url
from chunkmeans.sources.find.duplicates import find_duplicates
from chunkmeans.steps.chunk import CONTENT
from chunkmeans.steps.job import Job

BUDGET = 2**32
"""Bytes that are read to compare files of one size, at most."""


def mark_duplicates(jobs: Sequence[Job], rows: MutableMapping[str, Row]) -> int:
    """Put the id of the first image of the same content into each of `rows` that repeats one.

    Returns how many may repeat one but were not compared: beyond `BUDGET`, or not readable.

    Files on this machine's file systems are compared: by size, then, if sizes are equal, by three
    blocks, then by all bytes, within `BUDGET`. Of an object store every comparison would be a
    download, so those are compared by their fingerprints only, where these are of the content.
    Masks do not count.
    """
    first: dict[str, str] = {}
    marks: dict[str, str] = {}
    local = []
    for job in jobs:
        if job.id not in rows:
            continue
        mark = rows[job.id].fingerprint.partition(" mask ")[0]
        if mark.startswith(CONTENT):
            original = marks.setdefault(mark, job.id)
            if original != job.id:
                first[job.id] = original
        elif not is_url(job.path):
            local.append(job)
    found = find_duplicates([job.path for job in local], budget=BUDGET)
    first |= {local[i].id: local[original].id for i, original in found.first.items()}
    for name, row in rows.items():
        now = first.get(name, "")
        if row.duplicate_of != now:
            rows[name] = replace(row, duplicate_of=now)  # of a name that is there
    return len(found.unknown)
