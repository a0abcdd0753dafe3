"""What takes too long ends its process, where that can be spared, and says why before."""

import subprocess
import sys
import textwrap
import time

from chunkmeans.engines.worker.deadline import limited

BEGIN = """
    import ctypes, sys, threading, time
    from chunkmeans.engines.worker import deadline
    from chunkmeans.engines.worker.deadline import expendable, limited
    deadline.GRACE = 600
    def tell(error):
        print(type(error).__name__, error, flush=True)
"""


def ended(code, seconds=300):
    """Run a program; return its exit status and what it said."""
    program = textwrap.dedent(BEGIN) + textwrap.dedent(code)
    process = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=seconds
    )
    return process.returncode, process.stdout, process.stderr


def test_it_does_nothing_in_a_process_that_nobody_would_replace():
    with limited(0.01, "too long"):
        time.sleep(0.2)


def test_it_does_nothing_within_the_limit_nor_where_the_process_is_not_to_be_spared_any_more():
    code, said, _ = ended("""
        deadline.IDLE, deadline.GRACE = 0.3, 2
        for _ in range(2):
            with expendable(tell), limited(0.5, "too long"):
                pass
            with limited(0.01, "too long"):
                while deadline._clock is not None:
                    time.sleep(0.01)
        ctypes.PyDLL(None).sleep(4)  # what others do here afterwards is none of its business
        print("done", flush=True)
    """)
    assert (code, said) == (0, "done\n")


def test_it_counts_again_after_a_rest():
    code, said, _ = ended("""
        deadline.IDLE = 0.1
        with expendable(tell):
            with limited(0.3, "first"):
                pass
            while deadline._clock is not None:
                time.sleep(0.01)
            with limited(0.3, "second"):
                threading.Event().wait()
    """)
    assert (code, said) == (1, "OutOfTime second\n")


def test_what_hangs_is_told_of_and_the_process_ends():
    code, said, _ = ended("""
        with expendable(tell), limited(0.3, "a.tif: too long"):
            threading.Event().wait()
    """)
    assert (code, said) == (1, "OutOfTime a.tif: too long\n")


def test_only_what_is_late_is_told_of_and_others_end_with_it():
    code, said, _ = ended("""
        def work(name, seconds):
            with expendable(tell), limited(seconds, name):
                threading.Event().wait()
        for name, seconds in (("slow", 60), ("late", 0.3)):
            threading.Thread(target=work, args=(name, seconds)).start()
    """)
    assert (code, said) == (1, "OutOfTime late\n")


def test_what_comes_back_after_it_was_told_of_does_not_go_on():
    code, said, _ = ended("""
        told = threading.Event()
        def tell_both(error):
            tell(error)
            told.set()
        with expendable(tell_both):
            with limited(0.3, "late"):
                told.wait()
            print("went on", flush=True)
            threading.Event().wait()
    """)
    assert (code, said) == (1, "OutOfTime late\n")


def test_each_piece_has_the_whole_time():
    code, said, _ = ended("""
        now, looks, looked = 0.0, threading.Semaphore(0), threading.Semaphore(0)
        def pause(seconds):
            looked.release()
            looks.acquire()
        deadline.monotonic, deadline.sleep = lambda: now, pause
        with expendable(tell):
            for piece in range(10):
                with limited(0.5, "late"):
                    if piece == 0:
                        looked.acquire()  # its clock has begun
                    for _ in range(2):
                        now += 0.05
                        looks.release()
                        looked.acquire()
        print("done", flush=True)
    """)
    assert (code, said) == (0, "done\n")


def test_what_holds_the_lock_of_python_ends_too_and_leaves_a_trace():
    code, said, trace = ended("""
        deadline.GRACE = 0.5
        with expendable(tell, sys.stderr), limited(0.3, "stuck"):
            ctypes.PyDLL(None).sleep(100)
    """)
    assert (code, said) == (1, "")
    assert trace.startswith("Timeout")


def test_time_in_which_the_process_stood_still_does_not_count():
    code, said, _ = ended("""
        import os, signal, subprocess
        resume = f"sleep 4.5; kill -CONT {os.getpid()}"
        with expendable(tell), limited(3.0, "late"):
            time.sleep(0.2)
            subprocess.Popen(["sh", "-c", resume])
            os.kill(os.getpid(), signal.SIGSTOP)
        print("done", flush=True)
    """)
    assert (code, said) == (0, "done\n")
