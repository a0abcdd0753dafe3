"""The commands. What they do is done elsewhere, and imported only when it is asked for."""

import inspect
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial, wraps
from typing import Annotated, Any

import typer

from chunkmeans.cli.failures import interruptible, reporting_failures
from chunkmeans.cli.options import Options, config_or_path, results_of
from chunkmeans.errors import ConfigError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Segment huge images and image databases by exact k-means, chunk by chunk.",
)

_ConfigFile = Annotated[str, typer.Argument(metavar="CONFIG", help="YAML file.")]
_Images = Annotated[list[str], typer.Argument(metavar="IMAGE", help="Files, folders, URLs.")]
_Output = Annotated[str, typer.Option("-o", "--output", metavar="OUT", help="Results folder.")]
_Results = Annotated[
    str, typer.Argument(metavar="CONFIG|RESULTS", help="A run's config, or its results.")
]


def _print_version(asked: bool) -> None:
    if asked:
        import chunkmeans

        typer.echo(f"chunkmeans {chunkmeans.__version__}")
        raise typer.Exit


@app.callback()
def _program(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Take the options that come before a command."""


def _command(*shared: str, resumes: bool = False) -> Callable[[Callable[..., None]], Any]:
    """Declare a command ``_name``: its parameters, then those of `Options` that it names.

    It is called inside `reporting_failures`, with the latter as one value, ``options``. `resumes`
    says whether the same command continues what was interrupted.
    """
    options = inspect.signature(Options).parameters

    def declare(function: Callable[..., None]) -> Callable[..., None]:
        *own, _ = inspect.signature(function).parameters.values()

        @wraps(function)
        def called(**given: Any) -> None:
            chosen = Options(**{name: given.pop(name) for name in shared})
            with reporting_failures(resumes, chosen.overwrite, chosen.json):
                function(**given, options=chosen)

        # what typer reads instead of the signature of `called`
        called.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [*own, *(options[name] for name in shared)]
        )
        app.command(function.__name__.removeprefix("_"))(called)
        return function

    return declare


@_command("overrides", "cluster", "overwrite", "retry_failed", "json", resumes=True)
def _run(
    config: _ConfigFile,
    performance_report: Annotated[
        str | None,
        typer.Option(
            "--performance-report",
            metavar="FILE.html",
            help="Write Dask's report of what each worker did.",
        ),
    ] = None,
    *,
    options: Options,
) -> None:
    """Segment what CONFIG asks for; the same command resumes an interrupted run."""
    options.run(options.load(config), performance_report)


@_command("overrides", "cluster", "json", resumes=True)
def _retry(config: _ConfigFile, options: Options) -> None:
    """Do what `run` does, and try images again that failed: `run --retry-failed`."""
    _run(config, options=replace(options, retry_failed=True))


@_command("overrides", "cluster", "overwrite", "retry_failed", "json", resumes=True)
def _segment(
    images: _Images,
    k: Annotated[int, typer.Option("-k", help="Number of labels, per image.")],
    output: _Output,
    options: Options,
) -> None:
    """Segment images without a config, each with means of its own; results in OUT."""
    from chunkmeans.config import make_config

    config = make_config(
        images={"path": images},
        kmeans={"k": k},
        results={"path": output},
        cluster=options.cluster,
        overrides=options.overrides or (),
    )
    options.run(config)


@_command("overrides", "cluster", "overwrite", "retry_failed", "json", resumes=True)
def _apply(
    model: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG|RESULTS", help="A run's config or results, or one image's store."
        ),
    ],
    images: _Images,
    output: _Output,
    group: Annotated[
        str | None, typer.Option("--group", help="Whose means, if groups have their own.")
    ] = None,
    *,
    options: Options,
) -> None:
    """Label images by the means of an earlier run, without a fit; results in OUT."""
    from chunkmeans.api import apply

    work = partial(
        apply, config_or_path(model), images, output, group=group, **options.of_images,
        overrides=options.overrides or (), cluster=options.cluster,
    )  # fmt: skip
    options.show(work, output)


@_command("overrides", "cluster", "json")
def _plan(config: _ConfigFile, options: Options) -> None:
    """Show what a run would read, compute and need, without doing it.

    Exits with 2 if the run would be refused, with 1 if an image would fail.
    """
    from chunkmeans.api import plan
    from chunkmeans.cli import report
    from chunkmeans.cli.display import Lines
    from chunkmeans.cli.tally import Tally

    planned = plan(options.load(config), watch=Lines(Tally()))
    if options.json:
        report.as_json(asdict(planned))
    else:
        report.plan_page(planned)
    broken = any(image.problem for image in planned.images)
    raise typer.Exit(2 if planned.problems else 1 if broken else 0)


@_command("overrides", "cluster", "json")
def _validate(config: _ConfigFile, options: Options) -> None:
    """Check CONFIG alone: every key and value, no image."""
    from chunkmeans.cli import report

    try:
        options.load(config)
    except ConfigError as error:
        if not options.json:
            raise
        report.as_json({"valid": False, "problems": str(error).splitlines()})
        with reporting_failures():  # on stderr too; stdout has its one document
            raise
    if options.json:
        report.as_json({"valid": True, "problems": []})
    else:
        typer.echo(f"{config}: is valid")


@_command("json")
def _status(results: _Results, options: Options) -> None:
    """Show how far a run is or how it ended, and why images failed; from its files alone."""
    from chunkmeans.cli import report
    from chunkmeans.results.read.status import status_of

    opened = results_of(results)
    found = status_of(opened.store, opened.record)
    if options.json:
        report.status_as_json(opened, found)
    else:
        report.status_page(opened.store.path, opened, found)


@_command("overwrite", "json", resumes=True)
def _export(
    results: _Results,
    folder: Annotated[
        str, typer.Option("-o", "--output", metavar="FOLDER", help="Local folder of the files.")
    ],
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="Ids of images; none: all that have labels."),
    ] = None,
    to: Annotated[
        str, typer.Option("--to", metavar="FORMAT", help="png, or what a package adds.")
    ] = "png",
    level: Annotated[int, typer.Option("--level", help="Of the pyramid; 0 is full size.")] = 0,
    *,
    options: Options,
) -> None:
    """Write labels as files for other programs, such as PNG; one per plane of a volume.

    PNG: a pixel's number is its label, a palette gives its colour, and 0 (no data) is transparent;
    16-bit grey above 255 labels. Files that exist are skipped. Exits with 1 if an image failed.
    """
    from chunkmeans.cli import report
    from chunkmeans.results.export import export_images

    run, files, overwrite = results_of(results), [], options.overwrite
    with interruptible(overwrite=overwrite):
        for file in export_images(run, images or (), to, folder, level, overwrite=overwrite):
            files.append(file)
            if not options.json:
                report.export_line(file)
    if options.json:
        report.as_json({"files": [asdict(file) for file in files]})
    raise typer.Exit(1 if any(file.state == "failed" for file in files) else 0)


@_command("json")
def _inspect(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="File or URL.")], options: Options
) -> None:
    """Show what an image is, from its header: axes, shape, channels, dtype, chunks, nodata."""
    from chunkmeans.cli import report
    from chunkmeans.sources import open_image
    from chunkmeans.sources.base import ReadOptions

    info = open_image(image, ReadOptions()).info
    (report.image_as_json if options.json else report.image_page)(image, info)


@_command()
def _schema(options: Options) -> None:
    """Print the JSON Schema of a config, for editors."""
    from chunkmeans.cli import report
    from chunkmeans.config import config_schema

    report.as_json(config_schema())
