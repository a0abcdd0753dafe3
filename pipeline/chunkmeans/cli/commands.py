"""The commands. What they do is done elsewhere, and imported only when it is asked for."""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Annotated

import typer

from chunkmeans.cli.failures import interruptible, told
from chunkmeans.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chunkmeans.config import Config
    from chunkmeans.events import Watcher
    from chunkmeans.results.read.record import RunRecord

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Segment huge images and image databases by exact k-means, chunk by chunk.",
)

ConfigFile = Annotated[str, typer.Argument(metavar="CONFIG", help="YAML file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replace a key, e.g. kmeans.k=8. Repeatable."),
]
ClusterName = Annotated[
    str | None,
    typer.Option("--cluster", metavar="NAME|FILE|ADDRESS", help="Where to compute."),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Delete earlier results, of other settings too; begin anew."),
]
RetryFailed = Annotated[
    bool,
    typer.Option("--retry-failed", help="Try images again that failed, though unchanged."),
]
PerformanceReport = Annotated[
    str | None,
    typer.Option("--performance-report", metavar="FILE.html", help="Have Dask write one."),
]
Output = Annotated[str, typer.Option("-o", "--output", metavar="OUT", help="Results folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout.")]


def _version(asked: bool) -> None:
    if asked:
        try:
            found = version("chunkmeans")
        except PackageNotFoundError:
            found = "(not installed)"
        typer.echo(f"chunkmeans {found}")
        raise typer.Exit


@app.callback()
def _program(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Take the options that come before a command."""


@app.command()
def run(
    config: ConfigFile,
    overrides: Overrides = None,
    cluster: ClusterName = None,
    overwrite: Overwrite = False,
    retry_failed: RetryFailed = False,
    performance_report: PerformanceReport = None,
    json: Json = False,
) -> None:
    """Segment what CONFIG asks for; the same command resumes an interrupted run."""
    with told(resumes=True, overwrite=overwrite, json=json):
        from chunkmeans.config import load_config

        _run(
            load_config(config, overrides or (), cluster=cluster),
            overwrite,
            retry_failed,
            json,
            performance_report,
        )


@app.command()
def retry(
    config: ConfigFile,
    overrides: Overrides = None,
    cluster: ClusterName = None,
    json: Json = False,
) -> None:
    """Do what `run` does, and try images again that failed: `run --retry-failed`."""
    run(config, overrides, cluster, retry_failed=True, json=json)


@app.command()
def segment(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE", help="Files, folders, URLs.")],
    k: Annotated[int, typer.Option("-k", help="Number of labels.")],
    output: Output,
    overrides: Overrides = None,
    cluster: ClusterName = None,
    overwrite: Overwrite = False,
    retry_failed: RetryFailed = False,
    json: Json = False,
) -> None:
    """Segment images without a config: each its own K labels, results in OUT."""
    with told(resumes=True, overwrite=overwrite, json=json):
        from chunkmeans.config import make_config

        config = make_config(
            images={"path": images},
            kmeans={"k": k},
            results={"path": output},
            cluster=cluster,
            overrides=overrides or (),
        )
        _run(config, overwrite, retry_failed, json)


@app.command()
def apply(
    model: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG|RESULTS", help="A run's config or results, or one image's store."
        ),
    ],
    images: Annotated[list[str], typer.Argument(metavar="IMAGE", help="Files, folders, URLs.")],
    output: Output,
    group: Annotated[
        str | None, typer.Option("--group", help="Which model, of a run with groups.")
    ] = None,
    overrides: Overrides = None,
    cluster: ClusterName = None,
    overwrite: Overwrite = False,
    retry_failed: RetryFailed = False,
    json: Json = False,
) -> None:
    """Label images by the means of an earlier run, without a fit; results in OUT."""
    with told(resumes=True, overwrite=overwrite, json=json):
        from chunkmeans.api import apply as apply_model

        def labelled(watch: "Watcher") -> "RunRecord":
            return apply_model(
                _config_or_path(model), images, output, group=group, overrides=overrides or (),
                cluster=cluster, overwrite=overwrite, retry_failed=retry_failed, watch=watch,
            )  # fmt: skip

        _show(labelled, output, json, overwrite)


def _config_or_path(text: str) -> "Config | str":
    """Return the config that a file holds; anything else is the path of results."""
    if not text.endswith((".yaml", ".yml")):
        return text
    from chunkmeans.config import load_config

    return load_config(text)


def _run(
    config: "Config", overwrite: bool, retry_failed: bool, json: bool, report: str | None = None
) -> None:
    """Run, show how it goes, and exit with 1 if an image failed."""
    from chunkmeans.api import run as run_config

    def segmented(watch: "Watcher") -> "RunRecord":
        return run_config(
            config, overwrite=overwrite, retry_failed=retry_failed, performance_report=report,
            watch=watch,
        )  # fmt: skip

    _show(segmented, config.results.path, json, overwrite)


def _show(
    work: "Callable[[Watcher], RunRecord]", results: str, json: bool, overwrite: bool
) -> None:
    """Do `work`, show how it goes, and exit with 1 if an image failed."""
    from chunkmeans.cli import report
    from chunkmeans.cli.display import display
    from chunkmeans.cli.tally import Tally

    tally = Tally()
    with interruptible(overwrite=overwrite), display(tally) as watch:
        record = work(watch)
    (report.run_as_json if json else report.run_page)(results, record, tally)
    failed = record.state == "failed" or record.counts.get("failed", 0) > 0
    raise typer.Exit(1 if failed else 0)


@app.command()
def plan(
    config: ConfigFile,
    overrides: Overrides = None,
    cluster: ClusterName = None,
    json: Json = False,
) -> None:
    """Show what a run would read, compute and need, without doing it.

    Exits with 2 if the run would be refused, with 1 if an image would fail.
    """
    with told(json=json):
        from dataclasses import asdict

        from chunkmeans.api import plan as plan_config
        from chunkmeans.cli import report
        from chunkmeans.cli.display import Lines
        from chunkmeans.cli.tally import Tally
        from chunkmeans.config import load_config

        loaded = load_config(config, overrides or (), cluster=cluster)
        planned = plan_config(loaded, watch=Lines(Tally()))
        if json:
            report.as_json(asdict(planned))
        else:
            report.plan_page(planned)
        broken = any(image.problem for image in planned.images)
        raise typer.Exit(2 if planned.problems else 1 if broken else 0)


@app.command()
def validate(
    config: ConfigFile,
    overrides: Overrides = None,
    cluster: ClusterName = None,
    json: Json = False,
) -> None:
    """Check CONFIG alone: every key and value, no image."""
    with told():
        from chunkmeans.cli import report
        from chunkmeans.config import load_config

        try:
            load_config(config, overrides or (), cluster=cluster)
        except ConfigError as error:
            if json:
                report.as_json({"valid": False, "problems": str(error).splitlines()})
            raise
        if json:
            report.as_json({"valid": True, "problems": []})
        else:
            typer.echo(f"{config}: is valid")


@app.command()
def status(
    results: Annotated[
        str, typer.Argument(metavar="CONFIG|RESULTS", help="A run's config, or its results.")
    ],
    json: Json = False,
) -> None:
    """Show how far a run is or how it ended, and why images failed; from its files alone."""
    with told(json=json):
        from chunkmeans.cli import report
        from chunkmeans.results.read.open_results import open_run
        from chunkmeans.results.read.status import status_of

        named = _config_or_path(results)
        if isinstance(named, str):
            opened = open_run(named)
        else:
            opened = open_run(named.results.path, named.results.storage_options)
        found = status_of(opened.store, opened.record)
        if json:
            report.status_as_json(opened, found)
        else:
            report.status_page(opened.store.path, opened, found)


@app.command()
def inspect(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="File or URL.")],
    json: Json = False,
) -> None:
    """Show what an image is, from its header: axes, shape, channels, dtype, chunks, nodata."""
    with told(json=json):
        from chunkmeans.cli import report
        from chunkmeans.sources import open_image
        from chunkmeans.sources.base import ReadOptions

        info = open_image(image, ReadOptions()).info
        (report.image_as_json if json else report.image_page)(image, info)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a config, for editors."""
    with told():
        from chunkmeans.cli import report
        from chunkmeans.config import config_schema

        report.as_json(config_schema())
