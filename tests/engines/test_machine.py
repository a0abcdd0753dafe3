"""What the machine has, and the measuring of what a run takes of it."""

import subprocess
import sys
from time import monotonic, sleep, thread_time

import dask.system
import numpy as np
import psutil
import pytest
from chunkmeans.engines import machine
from chunkmeans.engines.machine import PeakMemory, cores, free_memory, peak_resident, process_tree

MIB = 2**20

# Takes and touches as many MiB as its first line of input says, and gives them back at its second.
CHILD = """
import sys
taken = bytearray(b"x") * (int(sys.stdin.readline()) * 2**20)
print("taken", flush=True)
sys.stdin.readline()
del taken
print("given back", flush=True)
sys.stdin.readline()
"""

counted = pytest.mark.skipif(
    not peak_resident(psutil.Process().pid), reason="this system keeps no highest of a process"
)


@pytest.fixture
def child():
    """Return a function that starts a process which takes memory when it is told to."""
    processes = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def tell(process, text=""):
    """Send a line to a child and wait for its answer."""
    process.stdin.write(f"{text}\n")
    process.stdin.flush()
    process.stdout.readline()


def wait_for(peak, nbytes):
    """Wait until the peak is at least so many bytes; fail after a while."""
    end = monotonic() + 240
    while peak._most < nbytes:  # the property itself would look
        assert monotonic() < end, f"{peak._most} bytes were seen, {nbytes} are taken"
        sleep(0.02)


def test_there_are_processors_and_free_memory():
    assert cores() >= 1
    assert 0 < free_memory() < psutil.virtual_memory().total


def test_a_control_group_bounds_the_free_memory(tmp_path, monkeypatch):
    limit, used = tmp_path / "limit", tmp_path / "used"
    monkeypatch.setattr(machine, "_CGROUPS", ((str(limit), str(used)),))
    used.write_text("1000\n")
    limit.write_text("6000\n")
    assert free_memory() == int(5000 * machine.FREE_SHARE)
    limit.write_text("max\n")
    assert free_memory() > 5000


def test_a_peak_is_zero_before_it_is_open_and_stays_after_it_was():
    peak = PeakMemory()
    assert peak.nbytes == 0
    with peak:
        assert peak.nbytes >= psutil.Process().memory_info().rss // 2
    most = peak.nbytes
    assert most > 0
    assert peak.nbytes == most


def test_children_count_with_the_process_even_those_that_start_later(child, monkeypatch):
    monkeypatch.setattr(machine, "LISTED_EVERY", 0.1)
    early = child()
    with PeakMemory() as peak:
        before = peak.nbytes
        tell(early, 100)
        wait_for(peak, before + 90 * MIB)
        late = child()
        tell(late, 100)
        wait_for(peak, before + 190 * MIB)
        most = peak.nbytes
        tell(late)
        tell(early)
        assert peak.nbytes >= most


@counted
def test_no_peak_of_a_single_process_is_too_short_to_be_seen():
    script = """
import numpy as np
from chunkmeans.engines import machine

machine.INTERVAL = 1e6
with machine.PeakMemory() as peak:
    before = peak.nbytes
    np.ones(300 * 2**20, np.uint8).sum()
    print(peak.nbytes - before)
"""  # in a process of its own, which has had no higher peak
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300
    )
    assert int(said.stdout) >= 250 * MIB


@counted
def test_what_a_process_had_before_does_not_count(child):
    old = child()
    tell(old, 400)
    tell(old)
    np.ones(400 * MIB, np.uint8).sum()
    now = sum(map(machine.resident, process_tree()))
    with PeakMemory() as peak:
        assert peak.nbytes < now + 200 * MIB


def test_sampleing_is_done_less_often_where_it_takes_long(monkeypatch):
    looks = []

    def slow(process):
        looks.append(process)
        begin = thread_time()
        while thread_time() - begin < 0.01:
            pass
        return 1

    monkeypatch.setattr(machine, "resident", slow)
    monkeypatch.setattr(machine, "INTERVAL", 0.001)
    monkeypatch.setattr(machine, "LISTED_EVERY", 1e6)
    begin = monotonic()
    with PeakMemory():
        sleep(1)
    passed = monotonic() - begin
    own = process_tree()
    between = passed * machine.SAMPLING_SHARE / 0.01
    most = 2 + between  # the first and the last, too
    assert 1 <= len(looks) / len(own) <= most + 1


def test_a_process_that_ended_has_no_memory(child):
    process = child()
    known = psutil.Process(process.pid)
    process.kill()
    process.communicate()
    assert machine.resident(known) == 0
    assert peak_resident(process.pid) == 0


class TestCores:
    """The count of processors against Dask's, and against quotas of control groups."""

    @pytest.fixture(autouse=True)
    def counted_anew(self):
        cores.cache_clear()
        yield
        cores.cache_clear()

    def test_it_is_what_dask_counts(self):
        assert cores() == dask.system.cpu_count()

    @pytest.mark.parametrize(
        ("texts", "expected"),
        [
            (["max 100000"], 64), (["150000 100000"], 2),
            (["100000 100000"], 1), (["1000 100000"], 1),
            (["-1", "100000"], 64), (["300000", "100000"], 3), ([], 64), (["nonsense"], 64),
        ],
    )  # fmt: skip
    def test_a_quota_bounds_it(self, tmp_path, monkeypatch, texts, expected):
        files = [tmp_path / str(n) for n in range(len(texts))]
        for file, text in zip(files, texts, strict=True):
            file.write_text(text)
        both = (files * 2)[:2] if files else (tmp_path / "none", tmp_path / "none")
        monkeypatch.setattr(machine, "_CPU_QUOTAS", (both,))
        monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: range(64), raising=False)
        monkeypatch.setattr(machine.os, "cpu_count", lambda: 64)
        assert cores() == expected
