"""Hostile files among good ones: each is listed once with a true reason, and costs itself only."""

import os
import re
import zipfile
from collections import Counter

import numpy as np
import pytest
from chunkmeans import make_config, open_run, run
from chunkmeans.results.store.store import image_path
from chunkmeans.sources import collect_entries

from tests.support.hostile import good_files, hostile_files, mutated, tiffs
from tests.support.reading import read_all
from tests.test_agreement import stored

GIB = 2**30


def segmented(images, out, **cluster):
    """Segment each image into three labels, with the same bound on memory."""
    config = make_config(
        images={"path": [str(path) for path in images]},
        kmeans={"k": 3, "max_iterations": 50},
        results={"path": str(out)},
        memory=2 * GIB if cluster else GIB,
        cluster={"kind": "serial", **cluster},
    )
    return run(config)


def check_batch(folder, good, hostile, **cluster):
    """Segment good and hostile files, and check what became of each; return the record."""
    good_files(folder / "good", good)
    fates = hostile_files(folder / "bad", **hostile)
    record = segmented([folder / "good", folder / "bad"], folder / "out", **cluster)
    segmented([folder / "good"], folder / "clean", **cluster)

    catalog = open_run(str(folder / "out")).catalog
    listed = Counter(row.source for row in catalog)
    assert set(listed.values()) == {1}
    assert len({row.id.casefold() for row in catalog}) == len(catalog)
    assert len(catalog) == good + len(fates)
    assert sum(record.counts.values()) == len(catalog)
    assert record.counts["failed"] > 0

    by_source = {row.source: row for row in catalog}
    wrong = []
    for name, fate in fates.items():
        row = by_source[str(folder / "bad" / name)]
        if row.state not in fate.states or not re.search(fate.reason, row.reason):
            wrong.append((name, row.state, row.reason))
        if row.state == "failed" and not row.reason:
            wrong.append((name, "no reason"))
        if row.state in ("done", "warned") and fate.like:
            like = by_source[str(folder / "bad" / fate.like)]
            if labels(folder, row) != labels(folder, like):
                wrong.append((name, row.state, "other labels than", fate.like))
    assert not wrong, "\n".join(map(str, wrong))

    assert all(by_source[str(path)].state == "done" for path in (folder / "good").iterdir())
    found, clean = stored(folder / "out"), stored(folder / "clean")
    assert {name: found[name] for name in clean} == clean
    assert not [p for p in (folder / "out").rglob("*") if p.name.endswith(".partial")]
    return record


def labels(folder, row):
    """Return the stored labels of an image, byte by byte."""
    store = folder / "out" / image_path(row.id) / "0"
    return {str(p.relative_to(store)): p.read_bytes() for p in store.rglob("*") if p.is_file()}


def test_a_batch_of_some_of_each_kind_in_this_process(tmp_path):
    record = check_batch(tmp_path, 8, {"cuts": 2, "mutants": 10})
    assert record.state == "finished"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads what nobody may read")
def test_a_file_that_may_not_be_read_fails_with_that_reason(tmp_path):
    good_files(tmp_path, 2)
    (tmp_path / "good 0000.tif").chmod(0)
    segmented([tmp_path], tmp_path / "out")
    (row,) = [row for row in open_run(str(tmp_path / "out")).catalog if row.state == "failed"]
    assert "Permission denied" in row.reason


def test_hostile_members_of_an_archive_are_refused_as_files_are(tmp_path):
    fates = hostile_files(tmp_path / "bad", cuts=2, mutants=5)
    names = [name for name in fates if (tmp_path / "bad" / name).is_file() and "\udcff" not in name]
    with zipfile.ZipFile(tmp_path / "bad.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            file.write(tmp_path / "bad" / name, name)
    entries = collect_entries([str(tmp_path / "bad.zip")])
    assert len(entries) == len(names)
    found = list(read_all([entry.path for entry in entries], workers=1))
    assert [one for one in found if one.end not in ("read", "refused")] == []
    assert Counter(one.end for one in found).keys() == {"read", "refused"}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_three_hundred_good_and_more_hostile_files_on_worker_processes(tmp_path):
    options = {"n_workers": 2, "threads_per_worker": 1}
    record = check_batch(tmp_path, 300, {"cuts": 14}, kind="local", options=options)
    print(record.counts, f"{record.seconds:.0f} s, {record.memory_peak / 2**20:.0f} MiB")
    assert sum(record.counts.values()) >= 600
    assert record.memory_peak < 2 * GIB


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_mutated_tiffs_are_read_or_refused_and_nothing_hangs_or_dies(tmp_path):
    rng, whole = np.random.default_rng(7), list(tiffs().values())
    paths = [tmp_path / f"{n}.tif" for n in range(10_000)]
    for n, path in enumerate(paths):
        path.write_bytes(mutated(whole[n % len(whole)], rng))
    found = list(read_all(paths))
    ends = Counter(one.end for one in found)
    slowest, peak = max(one.seconds for one in found), max(one.peak for one in found)
    print(dict(ends), f"slowest {slowest:.2f} s, {peak / 2**20:.0f} MiB at most")
    assert [one for one in found if one.end not in ("read", "refused")] == []
    assert all(one.path in one.reason or "memory" in one.reason for one in found if one.reason)
    assert (len(found), ends["read"] > 500) == (10_000, True)
    assert slowest < 30
    assert peak < GIB
