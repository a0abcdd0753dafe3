"""The command line: ``chunkmeans COMMAND``."""

import gc


def main() -> None:
    """Run the command that the shell asks for, and exit with its code.

    0: no image failed; 1: some failed; 2: the command or config is wrong; 3: the machines failed;
    130: interrupted.
    """
    # Importing makes hundreds of thousands of objects that all stay. Python would look for garbage
    # among them every 700 new ones: a sixth of the time that a start takes.
    gc.set_threshold(50_000)
    from chunkmeans.cli.commands import app

    try:
        app()
    finally:
        gc.freeze()  # nor is there anything to look for on the way out
