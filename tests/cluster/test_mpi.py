"""Ranks of a real MPI: a scheduler, the program, and workers."""

import pytest

from tests.cluster.running import ROOT, chunkmeans, results_of

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

QUICKSTART = ROOT / "configs/quickstart.yaml"


def test_it_gives_the_bytes_of_the_serial_engine(mpiexec, reference, tmp_path):
    before, environment = mpiexec
    said = chunkmeans(
        "run", QUICKSTART, "--cluster", ROOT / "configs/clusters/mpi.yaml",
        before=before, out=tmp_path / "out", cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert said.stdout.count("done      6") == 1, "one rank only tells what became of it"
    assert "segment (package://skimage/data/coffee.png,)" in said.stderr, (
        "workers tell what they do"
    )
    assert results_of(tmp_path / "out") == reference


def test_without_ranks_it_says_how_to_start_it(mpiexec, tmp_path):
    said = chunkmeans(
        "run", QUICKSTART, "--cluster", ROOT / "configs/clusters/mpi.yaml",
        out=tmp_path / "out", code=2, env=mpiexec[1],
    )  # fmt: skip
    assert "there is 1; start it by mpiexec -n 4 chunkmeans run" in said.stderr
