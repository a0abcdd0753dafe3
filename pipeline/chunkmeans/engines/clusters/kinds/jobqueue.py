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

from chunkmeans.engines.clusters.dask_class import DaskClass
from chunkmeans.engines.clusters.kind import ClusterKind
from chunkmeans.engines.clusters.opening import first_message
from chunkmeans.engines.clusters.security import LOOPBACK, dashboard_here, refuse_exposed
from chunkmeans.engines.dask.settings import environment
from chunkmeans.engines.options import arguments, count, mapping, texts
from chunkmeans.errors import ConfigError

_BOTH = {"interface", "protocol", "security", "config_name"}
"""Arguments of the cluster that its jobs have too."""

_LISTS = ("job_extra_directives", "job_directives_skip", "extra", "env_extra", "job_extra")
"""Arguments of jobs that are lists, beside those that `arguments` adds to."""


class JobQueue(ClusterKind):
    """Jobs are submitted, and cancelled when the engine closes. The scheduler is in this process.

    Options are arguments of the class of dask-jobqueue.
    """

    refused = frozenset({"scheduler", "job_cls"})
    dashboard_on_loopback = True

    def script_of(self, given: dict[str, Any]) -> str:
        """Return what would be submitted for each job."""
        return str(self._job(given).job_script())

    def options_known(self) -> set[str]:
        """Return the arguments of the class, and of the jobs that it makes."""
        cls = self.load()
        return arguments(cls, *_constructors(cls.job_cls))

    def refuse_exposed(self, options: Mapping[str, Any]) -> None:
        """Refuse what would listen on a network, by options or by the site's file for Dask."""
        scheduler = options["scheduler_options"]
        places = (options.get("interface"), scheduler.get("interface"), scheduler.get("host"))
        refuse_exposed(self.section, *places)

    def arguments(self, options: dict[str, Any], security: Security | None) -> dict[str, Any]:
        """Return the options with dashboards on loopback, our settings and certificates.

        And with what the site's file for Dask says of where anything listens.
        """
        given = self._with_defaults(options)
        scheduler = mapping(given, "scheduler_options")
        extra, prologue = (
            texts(given[name], f"cluster.options.{name}")
            for name in ("worker_extra_args", "job_script_prologue")
        )
        if not self.section.insecure:
            if scheduler.get("dashboard_address") is None:
                scheduler["dashboard_address"] = dashboard_here()
            if not any(str(word).startswith("--dashboard-address") for word in extra):
                extra += ["--dashboard-address", f"{LOOPBACK}:0"]
        settings = environment(self.section.dask_config)
        exports = [f"export {name}={quote(value)}" for name, value in settings.items()]
        options = deepcopy(options) | {
            **({"interface": given["interface"]} if given["interface"] else {}),
            "scheduler_options": scheduler,
            "log_directory": given["log_directory"],
            "worker_extra_args": extra,
            "job_script_prologue": exports + prologue,
        }
        if security is not None:
            options |= {"security": security, "protocol": "tls://"}
            # where keys of temporary certificates wait for the workers, readable by their user only
            options["shared_temp_directory"] = given["shared_temp_directory"] or os.getcwd()
        return options

    def planned(self, given: Mapping[str, Any]) -> int:
        """Return how many workers all jobs would have at the most."""
        job, section = self._job(given), self.section
        processes = int(job.worker_processes)
        asked = section.adapt if section.adapt is not None else section.scale
        if asked is None:
            return max(processes, section.wait.workers or 1)
        if isinstance(asked, int):
            return -(-asked // processes) * processes
        most = {key.removeprefix("maximum_"): value for key, value in asked.items()}
        jobs = most.get("jobs") or 0
        if most.get("cores"):
            jobs = max(jobs, math.ceil(most["cores"] / job.worker_cores))
        if most.get("memory"):
            jobs = max(jobs, math.ceil(parse_bytes(most["memory"]) / job.worker_memory))
        return max(processes, jobs * processes, most.get("n") or most.get("maximum") or 0)

    def each_worker(self, given: Mapping[str, Any]) -> tuple[int, int | None]:
        """Return a worker's share of its job."""
        job = self._job(given)
        return job.worker_process_threads, int(job.worker_memory) // job.worker_processes

    def advice(self, given: Mapping[str, Any]) -> str:
        """Return what to do where no worker comes."""
        logs = given["log_directory"]
        where = f"in {logs}" if logs else "(cluster.options.log_directory)"
        return (
            f"see in the queue whether the jobs wait, in their logs {where} why they end, and by "
            "chunkmeans plan what they run; cluster.wait.timeout says how long to wait"
        )

    def _with_defaults(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return all options that are known; those that are not given as the site has them.

        A site may have defaults in Dask's settings, ``jobqueue.slurm`` for kind slurm.
        """
        name = options.get("config_name") or self.load().job_cls.default_config_name()
        site = dask.config.get(f"jobqueue.{name}", {})
        if not isinstance(site, Mapping) or (options.get("config_name") and not site):
            raise ConfigError(
                f"cluster.options.config_name: Dask's settings have no jobqueue.{name}; leave it "
                "out, or give it in cluster.dask_config"
            )
        given = {
            option: site.get(option.replace("_", "-"))
            for option in {*self.options_known(), *options}
        }
        given |= {option: value for option, value in options.items() if value is not None}
        for option in ("cores", "processes"):
            if given[option] is not None:
                count(given[option], f"cluster.options.{option}")
        for option in _LISTS:
            if not isinstance(given.get(option), Mapping):  # HTCondor's directives
                texts(given.get(option), f"cluster.options.{option}")
        logs = given["log_directory"]
        if logs is not None and not isinstance(logs, str):
            raise ConfigError(
                f"cluster.options.log_directory: {logs!r} is no folder; give its path"
            )
        return given

    def _job(self, given: Mapping[str, Any]) -> Any:
        """Return a job as it would be submitted, but for names; nothing stays on disk."""
        cls = self.load()
        of_cluster = arguments(*_constructors(cls)) - _BOTH
        of_job = deepcopy({k: v for k, v in given.items() if k not in of_cluster})
        logs = given["log_directory"]
        paths = [] if logs is None else [Path(logs), *Path(logs).parents]
        new = [path for path in paths if not path.exists()]
        try:
            return cls.job_cls("tcp://scheduler:8786", name="chunkmeans", **of_job)
        except OSError:
            raise  # a folder of logs that cannot be made
        except Exception as error:  # each class fails at wrong values in a way of its own
            raise ConfigError(
                f"cluster.options: Dask's {cls.__name__} refuses them: {first_message(error)}"
            ) from error
        finally:
            for folder in new:  # of logs, which the job has made, and those above it
                with suppress(OSError):
                    folder.rmdir()


def _batch_system(name: str) -> type[JobQueue]:
    """Return the kind of a class of dask-jobqueue."""
    dask = DaskClass("dask_jobqueue", f"{name}Cluster", "chunkmeans[hpc]")
    return type(name, (JobQueue,), {"dask": dask})


# PBS Pro, OpenPBS and Torque are PBS, Grid Engine is SGE, IBM Spectrum LSF is LSF
Slurm, Pbs, Sge, Lsf, HtCondor, Oar = map(
    _batch_system, ("SLURM", "PBS", "SGE", "LSF", "HTCondor", "OAR")
)


def _constructors(cls: type) -> list[Any]:
    """Return the constructors of a class and those above it."""
    return [vars(one)["__init__"] for one in cls.__mro__ if "__init__" in vars(one)][:-1]
