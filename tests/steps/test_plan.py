"""What a run would do and need, told before it does it."""

import re
from dataclasses import replace

import numpy as np
import pytest

from pipeline import make_config, plan, run
from pipeline.engines.base import Size
from pipeline.steps.plan import planned
from tests.steps.examples import config, jobs, save_images


def test_a_plan_counts_images_chunks_and_bytes(tmp_path):
    save_images(tmp_path)
    found = plan(config(tmp_path))

    assert [image.id for image in found.images] == [f"image{i}" for i in range(4)]
    assert [image.chunks for image in found.images] == [4, 4, 4, 4]
    assert found.tasks == 16
    assert found.nbytes == 120 + 130 + 140 + 150
    assert found.problems == ()
    assert 0 < found.need <= found.bound
    assert (found.engine, found.workers, found.threads) == ("serial", 1, 1)


def test_an_image_that_would_fail_is_in_the_plan_with_its_reason(tmp_path):
    save_images(tmp_path)
    (tmp_path / "in" / "image2.npy").write_bytes(b"nothing")
    found = plan(config(tmp_path))

    problems = {image.id: image.problem for image in found.images}
    assert "image2.npy" in problems.pop("image2")
    assert set(problems.values()) == {""}
    assert found.problems == ()


REFUSED = r"memory: a worker needs (\d+) MiB .* on 1 thread, and has (\d+) MiB; raise `memory`"


def test_too_little_memory_is_refused_with_both_numbers_and_the_setting(tmp_path):
    all_jobs = jobs(tmp_path, 1)
    image, error = planned(all_jobs[0], Size(1, 1, 100 * 2**20), 10**9)

    needed, has = map(int, re.search(REFUSED, image.problem).groups())
    assert has == 100 < needed
    assert str(error) == image.problem
    image, error = planned(all_jobs[0], Size(1, 1, needed * 2**20), 10**9)
    assert image.problem == ""
    assert error is None


def test_a_collection_that_would_be_refused_says_so_once(tmp_path):
    save_images(tmp_path)
    found = plan(config(tmp_path, kmeans={"scope": "collection"}, memory=100 * 2**20))
    assert len(found.problems) == 1
    assert re.search(REFUSED, found.problems[0])


def test_an_output_of_other_settings_is_a_problem_of_the_plan(tmp_path):
    save_images(tmp_path)
    run(config(tmp_path))
    assert plan(config(tmp_path)).problems == ()

    (problem,) = plan(config(tmp_path, kmeans={"threshold": 2.5})).problems
    assert "kmeans.threshold: 0.0 -> 2.5" in problem


@pytest.mark.parametrize("edge", [64, 512])
def test_a_huge_image_needs_little_more_than_its_chunks(tmp_path, edge):
    path = tmp_path / "huge.npy"
    huge = np.lib.format.open_memmap(path, "w+", np.uint16, (200_000, 300_000))
    del huge  # a hole in the file system: its header is all that is read
    asked = make_config(
        images={"path": str(path)},
        kmeans={"k": 8},
        results={"path": str(tmp_path / "out"), "chunk": edge, "shard": 4 * edge},
        cluster={"kind": "serial"},
        memory=2 * 2**30,
    )
    found = plan(asked)

    assert found.nbytes == 200_000 * 300_000 * 2
    assert found.images[0].problem == ""
    assert found.need < 2**30
    assert found.tasks * 2**25 >= 200_000 * 300_000


def test_threads_of_a_worker_share_its_memory(tmp_path):
    (job,) = jobs(tmp_path, 1)
    one, _ = planned(job, Size(1, 1, 2**40), 0)
    four, _ = planned(job, Size(1, 4, 2**40), 0)
    two_workers, _ = planned(replace(job), Size(2, 2, 2**40), 0)

    assert four.need > one.need
    assert two_workers.need == one.need
