"""A run, from a config to results. Reads like the README; the steps hold the logic."""

from collections import defaultdict
from contextlib import ExitStack
from functools import partial

from pipeline.config import Config
from pipeline.engines import open_engine
from pipeline.engines.base import Engine
from pipeline.events import Note, RunFinished, RunStarted, Watcher, ignore
from pipeline.results.log import Log
from pipeline.results.record import RunRecord
from pipeline.steps.collection import segment_collection
from pipeline.steps.ending import Ending
from pipeline.steps.image import Job
from pipeline.steps.images import segment_images
from pipeline.steps.jobs import jobs_of, store_of
from pipeline.steps.ledger import Ledger, ledger
from pipeline.steps.plan import Plan, plan_of
from pipeline.steps.watching import both


def run(config: Config, *, overwrite: bool = False, watch: Watcher = ignore) -> RunRecord:
    """Segment everything that a config names; the same call goes on where one was stopped.

    Parameters
    ----------
    config
        From `load_config` or `make_config`.
    overwrite
        Replace results of other settings.
    watch
        Told of everything that happens.

    Returns
    -------
    RunRecord
        How it ended; the same as ``run.json``. Images are in `open_run(config.results.path)`.

    Raises
    ------
    ConfigError
        If the config names no image or asks for what does not fit.
    ResultError
        If the output holds results of other settings, or cannot be written.
    ClusterError
        If the machines are not there.
    """
    jobs = jobs_of(config)
    with ExitStack() as stack:
        engine = stack.enter_context(
            open_engine(config.cluster.kind, config.cluster.options, memory=config.memory)
        )
        book = stack.enter_context(ledger(config, jobs, engine, overwrite))
        watch = both(watch, stack.enter_context(Log(store_of(config))))
        if engine.dashboard:
            watch(Note(f"dashboard: {engine.dashboard}"))
        watch(RunStarted(len(jobs), len(book.pending)))
        segment = segment_each if config.kmeans.scope == "image" else segment_pooled
        segment(book, engine, watch)
        watch(RunFinished(book.counts(), book.seconds))
    return book.record


def plan(config: Config) -> Plan:
    """Return what a run would read, compute and need, without doing it."""
    return plan_of(config, jobs_of(config))


def segment_each(book: Ledger, engine: Engine, watch: Watcher) -> None:
    """Segment each image with means of its own."""
    for ending in segment_images(book.pending, engine, watch):
        note(ending, book, watch)


def segment_pooled(book: Ledger, engine: Engine, watch: Watcher) -> None:
    """Segment all images, or each group of them, with one set of means."""
    groups: dict[str, list[Job]] = defaultdict(list)
    for job in book.pending:
        groups[job.group or "collection"].append(job)
    for name, jobs in groups.items():
        for ending in segment_collection(jobs, engine, watch, partial(book.keep_model, name)):
            note(ending, book, watch)


def note(ending: Ending, book: Ledger, watch: Watcher) -> None:
    """Enter how an input ended into the catalogue and tell the watcher."""
    book.add(ending.row)
    watch(ending.event)
