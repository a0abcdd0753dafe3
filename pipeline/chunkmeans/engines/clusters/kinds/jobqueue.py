"""Batch systems: each worker, or a few of them, is a job that dask-jobqueue submits."""

import math
import os
from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from shlex import quote
from typing import Any

import dask
from dask.utils import parse_bytes
from distributed import Security

from chunkmeans.engines.base import Size
from chunkmeans.engines.clusters.deploy import opened
from chunkmeans.engines.clusters.listening import refuse_listening
from chunkmeans.engines.clusters.opening import configured, words
from chunkmeans.engines.clusters.options import (
    OURS,
    arguments,
    count,
    mapping,
    refuse_unknown,
    texts,
)
from chunkmeans.engines.clusters.request import Request
from chunkmeans.engines.clusters.scaling import refuse_wrong_scaling
from chunkmeans.engines.clusters.security import (
    LOOPBACK,
    dashboard_here,
    listening,
    placeholder,
    refuse_exposed,
    security_of,
)
from chunkmeans.engines.dask.engine import DaskEngine
from chunkmeans.engines.dask.settings import environment
from chunkmeans.errors import ConfigError

_BOTH = {"interface", "protocol", "security", "config_name"}
"""Arguments of the cluster that its jobs have too."""

_LISTS = {"job_extra_directives", "job_directives_skip", "extra", "env_extra", "job_extra"}
"""Other arguments that are lists."""


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
    if not isinstance(site, Mapping) or (options.get("config_name") and not site):
        raise ConfigError(
            f"cluster.options.config_name: Dask's settings have no jobqueue.{name}; leave it out, "
            "or give it in cluster.dask_config"
        )

    def given(option: str) -> Any:
        value = options.get(option)
        return site.get(option.replace("_", "-")) if value is None else value

    for option in ("cores", "processes"):
        if given(option) is not None:
            count(given(option), option)
    for option in _LISTS & known:
        if not isinstance(given(option), Mapping):  # HTCondor's directives
            texts(given(option), option)
    refuse_wrong_scaling(request)
    scheduler = mapping({"scheduler_options": given("scheduler_options")}, "scheduler_options")
    places = [given("interface"), scheduler.get("interface"), scheduler.get("host")]
    refuse_exposed(request, *listening(*places))
    extra = texts(given("worker_extra_args"), "worker_extra_args")
    said = {**options, "scheduler_options": scheduler, "worker_extra_args": extra}
    refuse_listening(request, {name: value for name, value in said.items() if value is not None})
    if not request.cluster.insecure:
        if scheduler.get("dashboard_address") is None:
            scheduler["dashboard_address"] = dashboard_here()
        if not any(str(word).startswith("--dashboard-address") for word in extra):
            extra += ["--dashboard-address", f"{LOOPBACK}:0"]
    prologue = texts(given("job_script_prologue"), "job_script_prologue")
    settings = environment(request.cluster.dask_config)
    exports = [f"export {name}={quote(value)}" for name, value in settings.items()]
    options |= {
        "scheduler_options": scheduler,
        "log_directory": given("log_directory"),
        "worker_extra_args": extra,
        "job_script_prologue": exports + prologue,
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
    if logs is not None and not isinstance(logs, str):
        raise ConfigError(f"cluster.options.log_directory: {logs!r} is no folder; give its path")
    made = [] if logs is None else _not_there(Path(logs))
    try:
        job = cls.job_cls("tcp://scheduler:8786", name="chunkmeans", **arguments_of_job)
    except OSError:
        raise  # a folder of logs that cannot be made
    except Exception as error:  # each class trips over wrong values in a way of its own
        raise ConfigError(
            f"cluster.options: Dask's {cls.__name__} refuses them: {words(error)}"
        ) from error
    finally:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
    return job


def _not_there(folder: Path) -> list[Path]:
    """Return the folder and those above it that do not exist, the innermost first."""
    return [path for path in (folder, *folder.parents) if not path.exists()]


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
