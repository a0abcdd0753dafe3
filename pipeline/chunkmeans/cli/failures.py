"""How a command ends that failed or was interrupted: a message on stderr, and the exit code."""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.text import Text

from chunkmeans.errors import ChunkmeansError, ClusterError
from chunkmeans.retry import is_transient
from chunkmeans.secrets import without_secrets

INTERRUPTED = 130
"""What a shell reports of a program that ends by Ctrl-C."""


@contextmanager
def interruptible(*, overwrite: bool = False) -> Iterator[None]:
    """End the run in order at Ctrl-C or another signal to end, and at once at a second Ctrl-C.

    Batch systems, service managers and a closed terminal send SIGTERM and SIGHUP. The first signal
    counts: the run then records how far it came, and no later one may disturb that, except a second
    Ctrl-C. A signal that the caller ignores (``nohup``) stays ignored.
    """
    ending = False

    def end(number: int, frame: object) -> None:
        nonlocal ending
        if ending and number == signal.SIGINT:
            _write_now(f"ended at once; {_again(overwrite)} resumes")
            os._exit(INTERRUPTED)
        if not ending:
            ending = True
            if number == signal.SIGINT:
                _write_now("stopping; Ctrl-C again ends at once")
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    usual = (signal.SIG_DFL, signal.default_int_handler)
    before = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) in usual}
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def reporting_failures(
    resumes: bool = False, overwrite: bool = False, json: bool = False
) -> Iterator[None]:
    """Turn a failure inside into a message on stderr and an exit code.

    Parameters
    ----------
    resumes
        Whether the same command, given again, continues what it had begun.
    overwrite
        Whether it does so only without its option ``--overwrite``.
    json
        Whether the message and the exit code go to stdout too, as a JSON document.
    """
    try:
        yield
    except (typer.Exit, typer.Abort, BrokenPipeError):
        raise
    except KeyboardInterrupt:
        hint = f"; what is finished is kept, {_again(overwrite)} resumes" if resumes else ""
        raise _exit(INTERRUPTED, "interrupted", json, ("interrupted", hint)) from None
    except ChunkmeansError as error:
        lines = str(error).splitlines() or [type(error).__name__]
        if len(lines) > 1:
            lines.insert(0, f"{len(lines)} things are wrong")
        code = error.exit_code
        if is_transient(error):
            code = ClusterError.exit_code
            hint = f"; {_again(overwrite)} resumes" if resumes else ""
            lines.append(f"this may be temporary{hint}")
        elif code == ClusterError.exit_code and overwrite:
            lines.append(f"to continue with what is written, give {_again(overwrite)}")
        raise _exit(code, str(error), json, ("error", ": " + "\n".join(lines))) from None
    except Exception as error:
        if isinstance(error, OSError) or is_transient(error):
            message = f"cannot be read or written: {error}"
            raise _exit(ClusterError.exit_code, message, json, ("error", f": {message}")) from None
        sys.stderr.write(without_secrets(traceback.format_exc()))
        message = f"unexpected {type(error).__name__}: {error}"
        bug = "This is a bug in chunkmeans; please report it with the lines above."
        shown = "error", f": {message}\n{bug}"
        raise _exit(ChunkmeansError.exit_code, message, json, shown) from None


def _again(overwrite: bool) -> str:
    """Return which command continues a run."""
    return "the same command without --overwrite" if overwrite else "the same command"


def _exit(code: int, message: str, json: bool, shown: tuple[str, str]) -> typer.Exit:
    """Return the end of the program, `shown` on stderr; with `json`, it is on stdout as well."""
    head, text = shown
    line = Text.assemble((head, "bold red"), without_secrets(text))
    Console(stderr=True).print(line, soft_wrap=True, highlight=False)
    if json:
        from chunkmeans.cli import report

        report.as_json({"error": without_secrets(message), "exit_code": code})
    return typer.Exit(code)


def _write_now(text: str) -> None:
    """Write a line to stderr from a signal handler, in which nothing buffered may be used."""
    os.write(2, f"\n{text}\n".encode())
