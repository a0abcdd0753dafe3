"""Options that several commands share: declared once, and handed to a command as one value."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chunkmeans.cli.failures import interruptible

if TYPE_CHECKING:
    from collections.abc import Callable

    from chunkmeans.config import Config
    from chunkmeans.results.read.open_results import Run
    from chunkmeans.results.read.record import RunRecord


@dataclass(frozen=True)
class Options:
    """What was given of the shared options; a command has those that it names."""

    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Replace a key, e.g. kmeans.k=8. Repeatable."
        ),
    ] = None
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="NAME|FILE|ADDRESS",
            help="Where to compute: a preset, a kind such as slurm, or a running scheduler.",
        ),
    ] = None
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace what an earlier run or export left, of other settings too."
        ),
    ] = False
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try failed images again, changed or not.")
    ] = False
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout.")] = False

    def load(self, config: str) -> "Config":
        """Return the config of a file, with what ``--set`` and ``--cluster`` change."""
        from chunkmeans.config import load_config

        return load_config(config, self.overrides or (), cluster=self.cluster)

    @property
    def of_images(self) -> dict[str, Any]:
        """Which images are done again, as `run` and `apply` take it."""
        return {"overwrite": self.overwrite, "retry_failed": self.retry_failed}

    def run(self, config: "Config", performance_report: str | None = None) -> None:
        """Segment what a config names, and `show` it."""
        from chunkmeans.api import run

        work = partial(run, config, performance_report=performance_report, **self.of_images)
        self.show(work, config.results.path)

    def show(self, work: "Callable[..., RunRecord]", results: str) -> None:
        """Do `work`, show the events that it sends to ``watch``; exit with 1 if an image failed."""
        from chunkmeans.cli import report
        from chunkmeans.cli.display import display
        from chunkmeans.cli.tally import Tally

        tally = Tally()
        with interruptible(overwrite=self.overwrite), display(tally) as watch:
            record = work(watch=watch)
        (report.run_as_json if self.json else report.run_page)(results, record, tally)
        failed = record.state == "failed" or record.counts.get("failed", 0) > 0
        raise typer.Exit(1 if failed else 0)


def config_or_path(text: str) -> "Config | str":
    """Return the config that a YAML file holds; anything else is the path of results."""
    return Options().load(text) if text.endswith((".yaml", ".yml")) else text


def results_of(text: str) -> "Run":
    """Open the results of a config, with its storage options, or those at a path."""
    from chunkmeans.results.read.open_results import open_run

    named = config_or_path(text)
    if isinstance(named, str):
        return open_run(named)
    return open_run(named.results.path, named.results.storage_options)
