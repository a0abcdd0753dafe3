"""Batch systems: each worker, or a few of them, is a job that dask-jobqueue submits."""

import math
import os
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from shlex import quote
from typing import Any

import dask
from dask.utils import parse_bytes
from distributed import Security

from pipeline.engines.base import Size
from pipeline.engines.dask import DaskEngine
from pipeline.engines.deploy import opened
from pipeline.engines.listening import refuse_listening
from pipeline.engines.opening import configured
from pipeline.engines.options import OURS, arguments, mapping, refuse_unknown
from pipeline.engines.request import Request
from pipeline.engines.security import (
    LOOPBACK,
    dashboard_here,
    listening,
    placeholder,
    refuse_exposed,
    security_of,
)
from pipeline.engines.settings import environment
from pipeline.errors import ConfigError

_BOTH = {"interface", "protocol", "security", "config_name"}
"""Arguments of the cluster that its jobs have too."""


def open_engine(request: Request) -> DaskEngine:
    """Open an engine on jobs that are submitted, and cancelled when it closes.

    Options are arguments of the class of dask-jobqueue. The scheduler runs in this process.
    """
    with configured(request):
        options = _options(request, security_of(request))
        job = _job(request, options)
    logs = job.log_directory
    where = f"in their logs in {logs}" if logs else "in their logs (cluster.options.log_directory)"
    advice = (
        f"see in the queue whether the jobs wait, {where} why they end, and by chunkmeans plan "
        "what they run; cluster.wait.timeout says how long to wait"
    )
    return opened(
        request,
        options,
        planned=_workers(request, job),
        advice=advice,
        tunnelled=not request.cluster.insecure,
    )


def size(request: Request) -> Size:
    """Return what the workers of all jobs would have to work with. Nothing is submitted."""
    with configured(request):
        job = _job(request, _options(request, placeholder(request)))
    workers = _workers(request, job)
    memory = int(job.worker_memory) // job.worker_processes
    if request.memory is not None:
        memory = min(memory, request.memory)
    return Size(workers, workers * job.worker_process_threads, memory, apart=True)


def script(request: Request) -> str:
    """Return what would be submitted for each job."""
    with configured(request):
        return str(_job(request, _options(request, placeholder(request))).job_script())


def _options(request: Request, security: Security | None) -> dict[str, Any]:
    """Return the arguments of the class: what the config says, and what of ours it leaves open."""
    cls, options = request.load(), deepcopy(dict(request.cluster.options))
    known = arguments(cls, *_classes(cls.job_cls)) - OURS - {"scheduler", "job_cls"}
    refuse_unknown(options, known, request.kind)
    name = options.get("config_name") or cls.job_cls.default_config_name()
    site = dask.config.get(f"jobqueue.{name}", {})

    def given(option: str) -> Any:
        value = options.get(option)
        return site.get(option.replace("_", "-")) if value is None else value

    scheduler = mapping({"scheduler_options": given("scheduler_options")}, "scheduler_options")
    places = [given("interface"), scheduler.get("interface"), scheduler.get("host")]
    refuse_exposed(request, *listening(*places))
    extra = list(given("worker_extra_args") or ())
    said = {**options, "scheduler_options": scheduler, "worker_extra_args": extra}
    refuse_listening(request, {name: value for name, value in said.items() if value is not None})
    if not request.cluster.insecure:
        if scheduler.get("dashboard_address") is None:
            scheduler["dashboard_address"] = dashboard_here()
        if not any(str(word).startswith("--dashboard-address") for word in extra):
            extra += ["--dashboard-address", f"{LOOPBACK}:0"]
    settings = environment(request.cluster.dask_config)
    exports = [f"export {name}={quote(value)}" for name, value in settings.items()]
    options |= {
        "scheduler_options": scheduler,
        "worker_extra_args": extra,
        "job_script_prologue": [*exports, *(given("job_script_prologue") or ())],
    }
    if security is not None:
        options |= {"security": security, "protocol": "tls://"}
        # where keys of temporary certificates wait for the workers, readable by their user only
        options["shared_temp_directory"] = given("shared_temp_directory") or os.getcwd()
    return options


def _classes(job: type) -> list[Any]:
    """Return the constructors of a class of jobs and those above it."""
    return [vars(cls)["__init__"] for cls in job.__mro__ if "__init__" in vars(cls)][:-1]


def _job(request: Request, options: Mapping[str, Any]) -> Any:
    """Return a job as it would be submitted, but for names; nothing listens, nothing is left."""
    cls = request.load()
    ours = arguments(*_classes(cls)) - _BOTH
    arguments_of_job = deepcopy({k: v for k, v in options.items() if k not in ours})
    logs = options.get("log_directory")
    there = logs is None or Path(logs).exists()
    try:
        job = cls.job_cls("tcp://scheduler:8786", name="chunkmeans", **arguments_of_job)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"cluster.options: Dask's {cls.__name__} refuses them: {error}"
        ) from error
    if logs is not None and not there:
        Path(logs).rmdir()
    return job


def _workers(request: Request, job: Any) -> int:
    """Return how many workers all jobs would have at the most."""
    cluster = request.cluster
    processes = int(job.worker_processes)
    asked = cluster.adapt if cluster.adapt is not None else cluster.scale
    if asked is None:
        return max(processes, cluster.wait.workers or 1)
    if isinstance(asked, int):
        return -(-asked // processes) * processes
    most = {key.removeprefix("maximum_"): value for key, value in asked.items()}
    jobs = most.get("jobs") or 0
    if most.get("cores"):
        jobs = max(jobs, math.ceil(most["cores"] / job.worker_cores))
    if most.get("memory"):
        jobs = max(jobs, math.ceil(parse_bytes(most["memory"]) / job.worker_memory))
    return max(processes, jobs * processes, most.get("n") or most.get("maximum") or 0)
