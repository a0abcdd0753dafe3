"""What the commands print to stdout: for people, or one JSON document for a program."""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from chunkmeans.cli.display import STYLES
from chunkmeans.cli.quantities import binary, decimal, duration
from chunkmeans.cli.tally import MOST_PROBLEMS, Tally
from chunkmeans.secrets import for_the_record, without_secrets

if TYPE_CHECKING:
    from chunkmeans.image.info import ImageInfo
    from chunkmeans.results.export import Exported
    from chunkmeans.results.read.catalog import Row
    from chunkmeans.results.read.open_results import Run
    from chunkmeans.results.read.record import RunRecord
    from chunkmeans.results.read.status import Status
    from chunkmeans.steps.plan.plan import Plan

MOST_ROWS = 20
"""Images of a plan that are listed; ``--json`` lists them all."""


def as_json(value: Any) -> None:
    """Print one JSON document, without the secrets that URLs carry."""
    json.dump(for_the_record(value), sys.stdout, indent=2, default=str, allow_nan=False)
    sys.stdout.write("\n")


class Page:
    """Lines of a label and its text, and tables, on stdout; styled on a terminal only.

    Without the secrets that URLs carry.
    """

    def __init__(self) -> None:
        console = Console(highlight=False)
        # a pipe has no width: nothing is cut or wrapped there
        self.console = console if console.is_terminal else Console(highlight=False, width=10_000)

    def line(self, label: str, text: str, style: str = "bold") -> None:
        """Print a line; its text is never taken for markup."""
        words = Text.assemble((f"{label:<10}", style), without_secrets(text))
        self.console.print(words, soft_wrap=True)

    def table(self, heads: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
        """Print rows in columns."""
        table = Table(box=None, header_style="bold", pad_edge=False)
        for head in heads:
            table.add_column(head, overflow="fold")
        for row in rows:
            table.add_row(*(Text(without_secrets(str(cell))) for cell in row))
        self.console.print(table)


def run_as_json(results: str, record: "RunRecord", tally: Tally) -> None:
    """Print how a run ended, for a program."""
    as_json(
        {
            "state": record.state,
            "counts": dict(record.counts),
            "results": results,
            "seconds": tally.seconds,
            "problems": [
                {"id": e.image, "state": e.state, "reason": e.reason} for e in tally.problems
            ],
        }
    )


def run_page(results: str, record: "RunRecord", tally: Tally) -> None:
    """Print how a run ended: counts, problems, where the results are and what to do next."""
    page = Page()
    _counts(page, record.counts)
    _others(page, record.others)
    _problems(page, ((e.image, e.state, e.reason) for e in tally.problems), record.counts)
    if tally.seconds is not None:
        page.line("time", duration(tally.seconds))
    page.line("results", results)
    page.line("next", f"chunkmeans status {results}")
    if record.counts.get("failed"):
        page.line("", "what failed is tried again if its file changes, or by --retry-failed")
    if tally.shown is not None:
        store = f"{results.rstrip('/')}/images/{tally.shown}.ome.zarr"
        page.line("", f"napari {store}   (with the plugin napari-ome-zarr)")


def status_as_json(run: "Run", status: "Status") -> None:
    """Print a run and every row of its catalogue, for a program."""
    record, known = run.record, asdict(status)
    failures = [{"id": i, "reason": reason} for i, reason in reversed(record.problems)]
    as_json(
        {
            "state": known.pop("state"),
            "counts": dict(record.counts),
            "named": record.images,
            "pending": known.pop("pending"),
            "others": record.others,
            **known,
            "last_failures": failures,
            "images": [asdict(row) for row in _rows(run)],
        }
    )


def status_page(path: str, run: "Run", status: "Status") -> None:
    """Print a run: how far it is or how it ended, and which images are not done."""
    page, record = Page(), run.record
    page.line("results", path)
    page.line("state", _state(status))
    _counts(page, record.counts)
    if status.pending:
        page.line("pending", f"{status.pending:,} of {record.images:,}")
    _others(page, record.others)
    if status.doing:
        page.line("now", _doing(status.doing))
    if record.pixels:
        page.line("pixels", decimal(record.pixels, "px"))
    if status.seconds:
        page.line("time", duration(status.seconds))
    if status.rate is not None and status.pending:
        page.line("rate", f"{status.rate:.3g} images/s")
    if status.seconds_left is not None:
        page.line("left", duration(status.seconds_left))
    if record.inertia is not None:
        page.line("means", f"of the collection: inertia {record.inertia:.6g}")
    latest = dict(reversed(record.problems))
    images = [(name, "failed", reason) for name, reason in latest.items()]
    images += [(r.id, r.state, r.reason) for r in _rows(run) if r.id not in latest]
    _problems(page, images, record.counts)


def _others(page: Page, number: int) -> None:
    """Print how many images have results here though the run does not name them."""
    if number:
        images = f"{number:,} image{'s' * (number != 1)}"
        page.line("earlier", f"{images} that this run does not name; last in catalog.csv")


def _state(status: "Status") -> str:
    """Return the state in words: which process runs it, or what to do."""
    if status.driver:
        return f"{status.state}: {status.driver}"
    if status.state in ("killed", "interrupted"):
        return f"{status.state}; the same command resumes"
    return status.state


def _doing(doing: Mapping[str, Any]) -> str:
    """Return the running phase in words."""
    words = [str(doing.get("phase", "")), str(doing.get("subject", ""))]
    for name in ("pixels", "units"):
        if total := doing.get(name):
            words.append(f"{min(1.0, doing[f'{name}_done'] / total):.0%}")
            break
    if "iteration" in doing:
        words.append(f"iteration {doing['iteration']}  E {float(doing['residual']):.4g}")
    return "  ".join(words)


def plan_page(plan: "Plan") -> None:
    """Print what a run would do and need."""
    page = Page()
    rows = [
        (i.id, i.axes, _by(i.shape), i.channels, i.dtype, f"{i.chunks:,}", decimal(i.nbytes, "B"))
        for i in plan.images[:MOST_ROWS]
        if not i.problem
    ]
    if rows:
        heads = ("image", "axes", "shape", "channels", "dtype", "chunks", "decoded")
        page.table(heads, rows)
    inputs = len(plan.images) + plan.unopened
    if inputs > MOST_ROWS:
        listed = "those looked at" if plan.unopened else "them all"
        page.line("", f"and {inputs - MOST_ROWS:,} more; --json lists {listed}")
    if plan.images:
        page.console.print()
    about = "about " if plan.unopened else ""
    page.line("images", f"{inputs:,}, {about}{decimal(plan.nbytes, 'B')} decoded to read")
    if plan.unopened:
        page.line("", f"estimated from the headers of {len(plan.images):,}, spread over the list")
    page.line("tasks", f"{about}{plan.tasks:,}")
    page.line("engine", f"{plan.engine}, {plan.workers} workers, {plan.threads} threads")
    need, bound, driver = binary(plan.need), binary(plan.bound), binary(plan.driver_need)
    page.line("memory", f"each worker needs {need} of {bound}, the driver {driver}")
    if plan.assumed:
        page.line("", "a worker's memory is not known: assumed is what is free here; set `memory`")
    broken = [(i.id, "failed", i.problem) for i in plan.images if i.problem]
    _problems(page, broken, {"failed": len(broken)})
    for problem in plan.problems:
        page.line("problem", problem, "bold red")
    if plan.script:
        page.console.print(f"\nWhat {plan.engine} would be given:\n", style="bold")
        page.console.print(Text(plan.script.rstrip()), soft_wrap=True)


def export_line(file: "Exported") -> None:
    """Print what became of one file of an export."""
    text = file.path or f"{file.image}: {file.reason}"
    hint = ": is there already; --overwrite writes it anew" if file.state == "skipped" else ""
    Page().line(file.state, f"{text}{hint}", STYLES.get(file.state, "bold"))


def image_as_json(path: str, info: "ImageInfo") -> None:
    """Print what an image is, for a program."""
    as_json({"path": path, **asdict(info), "dtype": str(info.dtype), "nbytes": info.nbytes})


def image_page(path: str, info: "ImageInfo") -> None:
    """Print what an image is, from its header."""
    page = Page()
    page.line("image", path)
    page.line("axes", info.axes)
    page.line("shape", f"{_by(info.shape)}   {decimal(info.pixels, 'px')}")
    names = f"   {', '.join(info.channel_names)}" if info.channel_names else ""
    page.line("channels", f"{info.channels}{names}")
    page.line("dtype", f"{info.dtype}   {decimal(info.nbytes, 'B')} decoded")
    page.line("chunks", _by(info.chunks))
    page.line("nodata", _by(info.nodata, ", ") or "none")
    if info.alpha:
        page.line("alpha", "the file marks pixels that do not count")
    if info.pixel_size:
        units = info.units or ("",) * len(info.pixel_size)
        sizes = [f"{s:g} {u}".strip() for s, u in zip(info.pixel_size, units, strict=True)]
        page.line("pixel", " x ".join(sizes))
    for name, value in info.tags.items():
        text = str(value)
        page.line("tag", f"{name}: {text if len(text) <= 200 else text[:197] + '...'}")
    for warning in info.warnings:
        page.line("warning", warning, "bold yellow")


def _rows(run: "Run") -> "list[Row]":
    """Return the catalogue; nothing where the run has not come to write one."""
    from chunkmeans.results.store.store import CATALOG

    return run.catalog if run.store.exists(CATALOG) else []


def _counts(page: Page, counts: Mapping[str, int]) -> None:
    """Print a line per state that occurs."""
    for state, count in counts.items():
        if count or state == "done":
            page.line(state, f"{count:,}", f"bold {STYLES.get(state, '')}".strip())


def _problems(
    page: Page, images: Iterable[tuple[str, str, str]], counts: Mapping[str, int]
) -> None:
    """Print why images are not done, failures first, and how many are not listed."""
    found = [image for image in images if image[1] != "done"]
    found.sort(key=lambda image: image[1] != "failed")
    for name, state, reason in found[:MOST_PROBLEMS]:
        first = next(iter(reason.splitlines()), "")
        page.line(f"  {state}", f"{name}: {first}", STYLES.get(state, ""))
    listed = min(len(found), MOST_PROBLEMS)
    total = sum(count for state, count in counts.items() if state != "done")
    if total > listed > 0:
        page.line("", f"and {total - listed:,} more, in catalog.csv")


def _by(numbers: Iterable[object], between: str = " x ") -> str:
    return between.join(map(str, numbers))
