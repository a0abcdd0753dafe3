"""``python -m tests.benchmarks``: makes the input, runs the contenders, prints, keeps JSON."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks import cluster, folder, report
from tests.benchmarks.cases import CASES, Case
from tests.benchmarks.contenders import CONTENDERS
from tests.benchmarks.contenders.task import Task
from tests.benchmarks.inputs import Input, make, start_means
from tests.benchmarks.rounds import compete

RESULTS = Path(__file__).parent / "results"


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Measure chunkmeans against its peers and a floor on the same file.",
    )
    parser.add_argument("--case", choices=[*CASES, "folder", "cluster"], required=True)
    parser.add_argument(
        "--megapixels", type=float, help="millions of pixels or voxels; default: the case's own"
    )
    parser.add_argument(
        "--peers", metavar="A,B", help=f"of {', '.join(CONTENDERS)}; default: the case's own"
    )
    parser.add_argument("--runs", type=int, default=3, help="of each contender (default: 3)")
    parser.add_argument("--iterations", type=int, help="at most; default: the case's own")
    parser.add_argument("--k", type=int, help="labels; default: the case's own")
    parser.add_argument(
        "--memory", help="`memory` of our config, e.g. 2GiB; none: not set; default: the case's own"
    )
    parser.add_argument("--cluster", help="handed to chunkmeans run, e.g. serial")
    parser.add_argument(
        "--program",
        metavar="PATH",
        help="the chunkmeans to measure, of an environment of its own; default: the one beside "
        "this Python, which shares the peers' packages",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(tempfile.gettempdir()) / "chunkmeans-benchmarks",
        help="folder for inputs, which are kept, and for outputs (default: %(default)s)",
    )
    parser.add_argument(
        "--images", type=int, default=folder.IMAGES, help="of folder (default: %(default)s)"
    )
    parser.add_argument(
        "--grow",
        metavar="N,M",
        help="of folder: tell the memory that so many tiny images take, instead of the race",
    )
    parser.add_argument(
        "--workers", default="1,2,3,4", metavar="N,M", help="of cluster (default: %(default)s)"
    )
    parser.add_argument(
        "--chunks", type=int, default=cluster.CHUNKS, help="of cluster (default: %(default)s)"
    )
    parser.add_argument(
        "--only-input", action="store_true", help="make the input, print where it is, and end"
    )
    parser.add_argument(
        "--json", type=Path, help="default: tests/benchmarks/results/CASE-SIZE.json"
    )
    parsed = parser.parse_args(given)
    if parsed.runs < 1:
        parser.error(f"--runs is {parsed.runs}; at least 1")
    if parsed.megapixels is not None and not parsed.megapixels > 0:
        parser.error(f"--megapixels is {parsed.megapixels}; it must be above 0")
    for name in (parsed.peers or "").split(",") if parsed.peers else ():
        known = folder.PEERS if parsed.case == "folder" else CONTENDERS
        if name not in known:
            parser.error(f"--peers: there is no {name!r}; known are {', '.join(known)}")
    if parsed.images < 1:
        parser.error(f"--images is {parsed.images}; at least 1")
    return parsed


def task_of(case: Case, image: Input, options: argparse.Namespace) -> Task:
    """Return what all contenders are asked to do."""
    k = options.k or case.k
    memory = options.memory or case.memory
    deep = len(image.shape) == 3
    return Task(
        image=str(image.path),
        shape=image.shape,
        channels=image.channels,
        means=start_means(image, k) if case.init == "given" else None,
        k=k,
        iterations=options.iterations or case.iterations,
        chunk=64 if deep else 512,
        shard=256 if deep else 2048,
        output="",
        threads=len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1,
        memory=None if memory == "none" else memory,
        cluster=options.cluster,
        program=options.program,
    )


def main(given: Sequence[str] | None = None) -> None:
    """Run one case."""
    options = arguments(given)
    if options.case == "folder":
        segment_folder(options)
        return
    if options.case == "cluster":
        measure_cluster(options)
        return
    case = CASES[options.case]
    peers = options.peers.split(",") if options.peers else list(case.peers)
    names = ["ours", *(name for name in dict.fromkeys(peers) if name != "ours")]
    for name in list(names):
        if missing := CONTENDERS[name].missing():
            told(f"{name} is left out: {', '.join(missing)} is not installed")
            names.remove(name)
    megapixels = options.megapixels or case.megapixels
    told(f"input of {megapixels:g} megapixels")
    image = make(case.kind, megapixels, options.data)
    if options.only_input:
        print(image.path)
        return
    task = task_of(case, image, options)
    try:
        with tempfile.TemporaryDirectory(dir=options.data, prefix="runs-") as folder:
            scores = compete(task, names, options.runs, Path(folder), told)
    except RuntimeError as error:
        sys.exit(str(error))
    print("\n".join(report.lines(case, image, task, scores)))
    path = options.json or RESULTS / f"{case.name}-{megapixels:g}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    document = report.document(case, image, task, scores)
    path.write_text(json.dumps(document, indent=1) + "\n")


def segment_folder(options: argparse.Namespace) -> None:
    """Run the case ``folder``: the race, or with ``--grow`` the memory of ever more images."""
    images, cluster = options.images, options.cluster or folder.KIND
    runs, grown = {}, []
    if options.grow:
        numbers = [int(number) for number in options.grow.split(",")]
        grown = folder.grow(numbers, options.data, told, options.program)
        print("\n".join(folder.memory_lines(grown)))
    else:
        peers = options.peers.split(",") if options.peers else list(folder.PEERS)
        runs = folder.race(
            images, options.runs, options.data, cluster, peers, told, options.program
        )
        print("\n".join(folder.race_lines(runs, images, cluster)))
    size = "memory" if options.grow else f"{images}"
    path = options.json or RESULTS / f"folder-{size}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    document = folder.document(runs, images, cluster, grown)
    path.write_text(json.dumps(document, indent=1) + "\n")


def measure_cluster(options: argparse.Namespace) -> None:
    """Run the case ``cluster``: what each number of workers costs beside the work."""
    found = []
    for workers in map(int, options.workers.split(",")):
        told(f"{workers} workers")
        found.append(cluster.figures_of(workers, options.chunks))
    print("\n".join(cluster.lines(found)))
    path = options.json or RESULTS / "cluster.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(cluster.document(found), indent=1) + "\n")


def told(line: str) -> None:
    """Print a line about the progress, apart from the outcome."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
