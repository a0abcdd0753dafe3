"""What a run would do and need, told before it does it."""

import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from chunkmeans import make_config, plan, run
from chunkmeans.cli.commands import app
from chunkmeans.engines.base import Size
from chunkmeans.steps.job import Job, Opened
from chunkmeans.steps.plan.plan import SAMPLE, plan_image
from typer.testing import CliRunner

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
    image, error = plan_image(all_jobs[0], Size(1, 1, 100 * 2**20), 10**9)

    needed, has = map(int, re.search(REFUSED, image.problem).groups())
    assert has == 100 < needed
    assert str(error) == image.problem
    image, error = plan_image(all_jobs[0], Size(1, 1, needed * 2**20), 10**9)
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
    one, _ = plan_image(job, Size(1, 1, 2**40), 0)
    four, _ = plan_image(job, Size(1, 4, 2**40), 0)
    two_workers, _ = plan_image(replace(job), Size(2, 2, 2**40), 0)

    assert 0 <= two_workers.need - one.need < 1024  # parts that wait to be merged are smaller
    assert four.need > two_workers.need


def listed(folder, names):
    """Return the config of a manifest that lists files, which need not be there."""
    (folder / "manifest.csv").write_text("\n".join(["path", *names]) + "\n")
    return config(folder, images={"path": str(folder / "manifest.csv")})


def test_a_plan_of_many_images_looks_at_a_sample_of_headers_and_says_so(tmp_path, monkeypatch):
    save_images(tmp_path, 2)
    opened, look = [], Job.look
    monkeypatch.setattr(Job, "look", lambda job: opened.append(job.id) or look(job))
    names = [f"in/image{n}.npy" for n in range(2)] + [f"in/gone{n}.npy" for n in range(5 * SAMPLE)]
    found = plan(listed(tmp_path, names))

    assert len(opened) == len(found.images) == SAMPLE
    assert (found.inputs, found.unopened) == (5 * SAMPLE + 2, 4 * SAMPLE + 2)
    assert opened[0] == "in/image0"
    assert opened[-1] == f"in/gone{5 * SAMPLE - 6}"
    assert found.nbytes == found.images[0].nbytes * found.inputs // SAMPLE
    assert found.tasks == found.images[0].chunks * found.inputs // SAMPLE
    assert found.problems == ()

    result = CliRunner().invoke(app, ["plan", write_yaml(tmp_path)])
    said = " ".join(result.output.split())
    assert f"images {found.inputs}, about" in said
    assert f"estimated from the headers of {SAMPLE}, spread over the list" in said
    assert result.exit_code == 1


def write_yaml(folder, images="manifest.csv"):
    """Write the config of the manifest, or of a folder, as a file."""
    (folder / "c.yaml").write_text(
        f"images: {{path: {folder}/{images}, axes: yxc}}\nkmeans: {{k: 3}}\n"
        f"results: {{path: {folder}/out}}\ncluster: {{kind: serial}}\n"
    )
    return str(folder / "c.yaml")


def test_a_plan_of_few_images_is_no_sample(tmp_path):
    save_images(tmp_path)
    found = plan(config(tmp_path))
    assert (found.inputs, found.unopened, len(found.images)) == (4, 0, 4)


def test_no_header_whatever_it_raises_is_the_plans_problem(tmp_path, monkeypatch):
    save_images(tmp_path, 2)

    def broken(opened):
        raise RecursionError("too deep")

    monkeypatch.setattr(Opened, "layout", property(broken))
    found = plan(config(tmp_path))
    assert found.problems == ()
    assert all("npy: RecursionError: too deep" in image.problem for image in found.images)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("named", ["manifest", "folder"])
def test_a_million_inputs_are_planned_in_a_minute_and_two_gibibytes(tmp_path, named):
    count = 1_000_000
    names = [f"{n // 1000:04d}/tile {n:07d}.tif" for n in range(count)]
    if named == "manifest":
        listed(tmp_path, names)
    else:
        for n, name in enumerate(names):
            if n % 1000 == 0:
                (tmp_path / "scans" / name).parent.mkdir(parents=True)
            os.close(os.open(tmp_path / "scans" / name, os.O_CREAT | os.O_WRONLY))
    config_file = write_yaml(tmp_path, "manifest.csv" if named == "manifest" else "scans")
    code = (
        "import resource, sys; from chunkmeans.cli import main\n"
        "try: main()\n"
        "finally:\n"
        " used = resource.getrusage(resource.RUSAGE_SELF)\n"
        " print(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "plan", config_file], capture_output=True, text=True
    )
    seconds, peak = map(float, done.stderr.split()[-2:])
    print(named, f"{seconds:.1f} s of CPU, {peak / 2**20:.0f} MiB")
    assert done.returncode == 1
    assert "images    1,000,000" in done.stdout
    assert seconds < 60  # of the processor: the machine may be busy
    assert peak < 2 * 2**30
