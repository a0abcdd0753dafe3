"""What a user calls: a run from a config to results, its plan, and one image in memory.

Reads like the README; the steps hold the logic.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from os import PathLike, fspath
from typing import Any

import numpy as np

from chunkmeans.config import Config, make_config
from chunkmeans.engines import open_engine
from chunkmeans.engines.base import Engine
from chunkmeans.engines.dask.report_file import refuse_place
from chunkmeans.engines.machine import PeakMemory, cores
from chunkmeans.engines.serial import SerialEngine
from chunkmeans.errors import ConfigError
from chunkmeans.events import Note, RunFinished, RunStarted, Watcher, both, ignore
from chunkmeans.features.registry import make_features
from chunkmeans.results.export import Exported, export_images
from chunkmeans.results.read.open_results import Run, open_run
from chunkmeans.results.read.record import RunRecord
from chunkmeans.results.store.log import Log
from chunkmeans.sources import Image, ReadOptions, open_image
from chunkmeans.sources.array import MemoryImage
from chunkmeans.steps.chunk import open_input
from chunkmeans.steps.job import Job
from chunkmeans.steps.plan.jobs import jobs_of, nodata_of, read_options, settings_of, store_of
from chunkmeans.steps.plan.plan import Plan, plan_of, refuse_hopeless
from chunkmeans.steps.resume.duplicates import BUDGET
from chunkmeans.steps.resume.group_results import LedgerGroup
from chunkmeans.steps.resume.ledger import Ledger
from chunkmeans.steps.resume.opening import Resume, open_ledger
from chunkmeans.steps.resume.outcome import Ending
from chunkmeans.steps.segment.in_memory import Segmentation, segment_array
from chunkmeans.steps.segment.many_images import segment_images
from chunkmeans.steps.segment.shared.apply import applied, config_of, label_images, saved_model
from chunkmeans.steps.segment.shared.shared_means import segment_collection


def run(
    config: Config,
    *,
    overwrite: bool = False,
    retry_failed: bool = False,
    performance_report: str | None = None,
    watch: Watcher = ignore,
) -> RunRecord:
    """Segment everything that a config names; the same call resumes one that was stopped.

    Parameters
    ----------
    config
        From `load_config` or `make_config`.
    overwrite
        Replace results, of other settings too.
    retry_failed
        Try images again that failed, though their files are the same as then. Where the failure
        may have been the machine's, the disk's or the network's, that is done anyway.
    performance_report
        File of HTML that Dask writes: what every worker did when, and what was sent.
    watch
        Called with each event of the run (`chunkmeans.events`).

    Returns
    -------
    RunRecord
        How it ended; the same as ``run.json``. Images are in `open_run(config.results.path)`.

    Raises
    ------
    ConfigError
        If the config names no image or asks for what does not fit.
    ResultError
        If the output holds results of other settings, is being written by another run, or cannot
        be written.
    ClusterError
        If the machines are not there.
    """
    segment = segment_each if config.kmeans.scope == "image" else segment_pooled
    resume = Resume(overwrite, retry_failed)
    return _run(config, jobs_of(config), segment, watch, resume, performance_report)


# public: each argument is one thing a user may ask for, by keyword
def apply(  # noqa: PLR0913
    model: str | Config,
    images: str | Sequence[str],
    output: str,
    *,
    group: str | None = None,
    overrides: Sequence[str] = (),
    cluster: str | None = None,
    overwrite: bool = False,
    retry_failed: bool = False,
    watch: Watcher = ignore,
) -> RunRecord:
    """Label images by the means of an earlier run, without a fit; resumes as `run` does.

    Pixels are taken as that run took them: its channels, level, nodata, mask and scale hold, its
    region does not.

    Parameters
    ----------
    model
        Folder or URL of results of scope collection or group, or of one image's store in results;
        or the config of a run, whose storage options open the new images and results too.
    images
        As ``images.path`` of a config.
    output
        As ``results.path``.
    group
        Which of the models, if there are several.
    overrides
        Such as ``"images.nodata=0"``.
    cluster
        Where to compute, as ``--cluster``.
    overwrite, retry_failed, watch
        As of `run`.

    Returns
    -------
    RunRecord
        How it ended. An image of other channels, or of another kind of numbers, has failed.

    Raises
    ------
    ConfigError
        If there is no such model, or no image.
    ResultError
        As of `run`.
    ClusterError
        If the machines are not there.
    """
    if isinstance(model, Config):
        path, options = model.results.path, model.results.storage_options
        opening = {"images": model.images.storage_options, "results": options}
    else:
        path, options, opening = model, {}, {}
    saved = saved_model(path, options, group)
    config = config_of(saved, images, output, overrides, cluster, opening)

    def label(book: Ledger, engine: Engine, watch: Watcher) -> Iterator[Ending]:
        return label_images(book.pending, saved, engine, watch)

    settings = {**config.settings(), "applied": saved.digest}
    jobs, resume = applied(jobs_of(config), saved), Resume(overwrite, retry_failed, settings)
    return _run(config, jobs, label, watch, resume)


def _run(
    config: Config,
    jobs: list[Job],
    segment: Callable[[Ledger, Engine, Watcher], Iterator[Ending]],
    watch: Watcher,
    resume: Resume,
    report: str | None = None,
) -> RunRecord:
    """Open machines and output, do what is pending, and close them."""

    def warn(text: str) -> None:
        watch(Note(text, "warning"))

    if report is not None:
        refuse_place(report)
    with ExitStack() as stack:
        engine = stack.enter_context(open_engine(config.cluster, memory=config.memory, notify=warn))
        if report is not None:
            stack.enter_context(engine.reported(report))
        planned = refuse_hopeless(jobs, engine, config.kmeans.pooled)
        peak = stack.enter_context(PeakMemory())
        book = stack.enter_context(open_ledger(config, jobs, peak, resume, planned))
        log = stack.enter_context(Log(store_of(config)))
        watch = both(watch, both(log, book.watch))
        report_redone(book, log, watch)
        if engine.dashboard:
            watch(Note(f"dashboard: {engine.dashboard}"))
        watch(RunStarted(len(jobs), len(book.pending)))
        for ending in segment(book, engine, watch):
            book.add(ending.row, ending.nbytes)
            watch(ending.event)
        report_not_compared(book.compare(), watch)
        watch(RunFinished(book.counts(), book.seconds))
    return book.record


def plan(config: Config, *, watch: Watcher = ignore) -> Plan:
    """Return what a run would read, compute and need, without doing it.

    `watch` gets a note where a scheduler that runs already is waited for.
    """
    return plan_of(config, jobs_of(config), watch)


def export(
    results: Run | str | PathLike[str],
    folder: str | PathLike[str],
    images: Sequence[str] = (),
    *,
    to: str = "png",
    level: int = 0,
    overwrite: bool = False,
) -> list[Exported]:
    """Write labels of a run as files of another format, one image after another.

    Parameters
    ----------
    results
        From `open_run`, or the path of results that need no storage options.
    folder
        Local folder of the files: ``<id>.png``; a volume gives ``<id>_z<index>.png`` each, and a
        level above 0 ``<id>_level<n>.png``.
    images
        Ids; none: all images that have labels.
    to
        Name of the exporter: ``png``, or one that an installed package adds.
    level
        Of the pyramids; 0 is the full image.
    overwrite
        Whether files that are there already are written anew, not skipped.

    Returns
    -------
    list of Exported
        A line per file, and per image that failed.

    Raises
    ------
    ConfigError
        If there is no such exporter or image; before anything is written.
    ResultError
        If there are no results of a run.
    OSError
        If a file cannot be written.
    """
    run = results if isinstance(results, Run) else open_run(results)
    return list(export_images(run, images, to, fspath(folder), level=level, overwrite=overwrite))


# public: each argument is one thing a user may ask for, by keyword
def segment(  # noqa: PLR0913
    image: Any,
    k: int | None = None,
    *,
    axes: str | None = None,
    channels: int | str | Sequence[int | str] | None = None,
    region: Sequence[str] | None = None,
    nodata: float | Sequence[float] | None = None,
    mask: Any = None,
    scale: str | Sequence[float] = "none",
    init: Any = "random",
    watch: Watcher = ignore,
    **kmeans: Any,
) -> Segmentation:
    """Segment one image into an array of labels, in this process.

    Parameters
    ----------
    image
        A path or URL, a NumPy array, or a Dask array, which is computed box by box.
    k
        Number of labels; may be left out where `init` gives means.
    axes
        A letter of ``tzyxc`` per axis of the image, instead of what the file says or, for an
        array, the rule for unnamed axes.
    channels, region, nodata, scale
        As ``images.channels``, ``images.region`` (``["0:512", "0:512"]``), ``images.nodata`` and
        ``features.scale`` of a config.
    init
        ``"random"``, ``"kmeans++"``, or means to start from, (k, c).
    mask
        A path or an array of the image's shape; a pixel counts where it is not zero.
    watch
        Called with each event of the run (`chunkmeans.events`).
    **kmeans
        Further keys of the config's section ``kmeans``: restarts, threshold, max_iterations,
        empty, seed.

    Returns
    -------
    Segmentation
        Labels 1..k from dark to bright (0: no data), means, history.

    Raises
    ------
    ConfigError
        If an argument does not fit.
    SourceError
        If the image cannot be read.
    ChunkError
        If it has no valid pixel.

    Examples
    --------
    >>> picture = np.array([[1, 1, 9], [1, 9, 9]], np.uint8)
    >>> segment(picture, 2).labels.tolist()
    [[1, 1, 2], [1, 2, 2]]
    """
    named = image if isinstance(image, str | PathLike) else "array"
    if isinstance(init, np.ndarray) or (not isinstance(init, str) and not isinstance(init, dict)):
        init = {"means": np.asarray(init).tolist()}
    if isinstance(init, Mapping) and "from" in init:
        raise ConfigError(
            "init: earlier results hold many images; give one's means: "
            "open_run(path).images[id].model.means"
        )
    config = make_config(
        images={
            "path": fspath(named),
            "axes": axes,
            "channels": channels,
            "region": None if region is None else list(region),
            "nodata": nodata,
        },
        features={"scale": scale},
        kmeans={"init": init, **({} if k is None else {"k": k}), **kmeans},
        results={"path": "memory://nowhere"},
    )
    options = read_options(config)
    masks = None if mask is None else _opened(mask, replace(options, channels=None, axes=None))
    opened = _opened(image, options)
    features = make_features(config.features.use)
    source = open_input("array", opened, masks, nodata_of(config), features)
    with SerialEngine(threads=cores(), memory=config.memory) as engine:
        return segment_array(source, settings_of(config), engine, watch)


def _opened(image: Any, options: ReadOptions) -> Image:
    if isinstance(image, str | PathLike):
        return open_image(fspath(image), options)
    return MemoryImage(image, options=options)


def segment_each(book: Ledger, engine: Engine, watch: Watcher) -> Iterator[Ending]:
    """Segment each image with means of its own."""
    return segment_images(book.pending, engine, watch)


def segment_pooled(book: Ledger, engine: Engine, watch: Watcher) -> Iterator[Ending]:
    """Segment all images, or each group of them, with one set of means."""
    groups: dict[str | None, list[Job]] = defaultdict(list)
    for job in book.pending:
        groups[job.group].append(job)
    for group, jobs in groups.items():
        yield from segment_collection(jobs, engine, watch, LedgerGroup(book, group))


def report_redone(book: Ledger, log: Log, watch: Watcher) -> None:
    """Report why images that had ended are segmented again: how many, and each in the log."""
    if book.lease.before is not None:
        watch(Note(f"the previous run was killed ({book.lease.before}); resuming"))
    if book.why:
        images = f"{len(book.why):,} image{'s' * (len(book.why) != 1)}"
        ((reason, number),) = Counter(book.why.values()).most_common(1)
        most = f": {number:,} because {reason}" if number > 1 else ""
        watch(Note(f"segmenting {images} of the previous run again{most}; the log has all reasons"))
    for name, reason in book.why.items():
        log(Note(f"{name} is segmented again: {reason}"))


def report_not_compared(images: int, watch: Watcher) -> None:
    """Report how many images have no `duplicate_of` only because they were not compared."""
    if images:
        watch(
            Note(
                f"{images:,} image{'s' * (images != 1)} may repeat others of the same size, but "
                "were not compared: not readable, "
                f"or more than {BUDGET / 2**30:.3g} GiB to read in all"
            )
        )
