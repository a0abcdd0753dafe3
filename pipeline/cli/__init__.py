"""The command line: ``chunkmeans COMMAND``."""

from pipeline.cli.commands import app


def main() -> None:
    """Run the command that the shell asks for, and exit with its code.

    0: no image failed; 1: some failed; 2: the command or config is wrong; 3: the machines failed;
    130: interrupted.
    """
    app()
