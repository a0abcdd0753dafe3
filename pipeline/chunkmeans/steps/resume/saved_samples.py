"""Reading every pixel once, over all runs of an output: what was collected is saved as it grows.

Chunks are read in batches, and each batch's table is a part of ``samples.zarr``. A run takes over
the parts whose images, and choices of pixels, are all its own, and reads the rest. A part that
has an image which changed, or went, has no table of the others alone, so those are read again.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from itertools import chain

from chunkmeans.errors import ResultError
from chunkmeans.events import Note, Watcher
from chunkmeans.image.grid import Box, merged_boxes
from chunkmeans.kmeans.counting.collect import Collected
from chunkmeans.results.models.samples import SamplesPart, find_samples, read_samples, write_samples
from chunkmeans.results.read.record import content_mark
from chunkmeans.results.store.store import SAMPLES, Store
from chunkmeans.steps.chunk import Bundle, Chunk, Input

LEAST_SHARE = 16
"""A batch is not smaller than this part of what was read before: their number stays small."""
MOST_SAVED_PARTS = 64
"""Parts of a collection that are kept apart; of more, the smallest are made one."""


def _marks(inputs: Iterable[Input]) -> dict[str, str]:
    """Return what names the samples of each image, by its id: the same one, whatever its id is.

    An image that is listed twice counts twice, so its second mark is another one.
    """
    seen: Counter[str] = Counter()
    marks = {}
    for source in inputs:
        identity = source.identity
        marks[source.id] = content_mark([identity, seen[identity]])
        seen[identity] += 1
    return marks


class SavedSamples:
    """What was collected of a subject's images, by this run and those before.

    Parameters
    ----------
    store
        The output.
    subject
        What the parts are of.
    watch
        Gets notes of what need not be read again, and of what is damaged.
    most
        Parts that are kept.
    """

    def __init__(
        self, store: Store, subject: str, watch: Watcher, most: int = MOST_SAVED_PARTS
    ) -> None:
        self.store, self.subject, self.watch, self.most = store, subject, watch, most
        self.total: Collected | None = None
        """Of everything that is covered; None: nothing is."""
        self.recalled = 0
        """Pixels that runs before had read."""
        self._sources: dict[str, Input] = {}
        """By mark: what is to be covered."""
        self._marks: dict[str, str] = {}
        """By id of an image."""
        self._parts: dict[str, SamplesPart] = {}
        """By path: those that `total` is of."""
        self._covered: dict[str, list[Box]] = {}
        """By mark."""

    @property
    def marks(self) -> list[str]:
        """What names the images' samples, one by one."""
        return sorted(self._sources)

    def recall(self, inputs: Sequence[Input]) -> None:
        """Take over what is known of these images and of no others; the rest is deleted."""
        self._marks = _marks(inputs)
        self._sources = {self._marks[source.id]: source for source in inputs}
        if any(part.covers.keys() - self._sources.keys() for part in self._parts.values()):
            self.total, self._parts, self._covered = None, {}, {}
        first = not self._parts and not self.recalled
        found, useless = find_samples(self.store, self.subject)
        for path, why in useless.items():
            self._drop(path, why)
        for part in sorted(found, key=lambda part: (-part.pixels, part.path)):
            if part.path in self._parts:
                continue
            if part.covers.keys() - self._sources.keys() or self._overlaps(part):
                self.store.delete(part.path)
                continue
            try:
                self._take(part, read_samples(self.store, part))
            except ResultError as error:
                self._drop(part.path, str(error))
        if first and self._parts:
            self.recalled = self._pixels()
            pixels = sum(source.info.pixels for source in self._sources.values())
            self.watch(
                Note(
                    f"{self.recalled:,} of {pixels:,} pixels were collected by a previous run: "
                    f"their tables are in {SAMPLES}"
                )
            )

    def missing(self, chunks: Iterable[Chunk]) -> list[Chunk]:
        """Return what of these chunks is not covered; one may come in several boxes."""
        left = []
        for chunk in chunks:
            boxes = [chunk.box]
            for known in self._covered.get(self._marks[chunk.source.id], ()):
                boxes = [piece for box in boxes for piece in box.without(known)]
            left += [chunk if box == chunk.box else replace(chunk, box=box) for box in boxes]
        return left

    def batches(self, bundles: Sequence[Bundle], threads: int) -> Iterator[list[Bundle]]:
        """Yield consecutive bundles that are read, and saved, together."""
        if not bundles:
            return
        tuning = bundles[0][0].source.tuning
        least, known = tuning.tasks_per_thread * threads, self._pixels()
        batch: list[Bundle] = []
        pixels = 0
        for number, bundle in enumerate(bundles, 1):
            batch.append(bundle)
            pixels += sum(chunk.pixels for chunk in bundle)
            full = len(batch) >= least and pixels >= known // LEAST_SHARE
            if full and len(bundles) - number >= least:
                yield batch
                batch, pixels, known = [], 0, known + pixels
        if batch:
            yield batch

    def add(self, batch: Iterable[Bundle], collected: Collected) -> None:
        """Save what was collected of a batch.

        Raises
        ------
        ResultError
            If the output cannot be written.
        """
        chunks = chain.from_iterable(batch)
        boxes = ((self._marks[chunk.source.id], chunk.box) for chunk in chunks)
        self._take(self._written(boxes, collected), collected)

    def settle(self) -> None:
        """Make one of the smallest parts, where there are too many."""
        if len(self._parts) <= self.most or self.total is None:
            return
        ordered = sorted(self._parts.values(), key=lambda part: (part.pixels, part.path))
        few = ordered[: len(ordered) - self.most // 2]
        try:
            each = (read_samples(self.store, part) for part in few)
            merged = reduce(Collected.merge, each) if len(few) < len(ordered) else self.total
        except ResultError:  # damaged since it was written: the total is not
            few, merged = ordered, self.total
        boxes = (
            (name, box) for part in few for name in part.covers for box in self._boxes(part, name)
        )
        one = self._written(boxes, merged)
        for part in few:
            self.store.delete(self._parts.pop(part.path).path)
        self._parts[one.path] = one

    def _take(self, part: SamplesPart, collected: Collected) -> None:
        self.total = collected if self.total is None else self.total.merge(collected)
        self._parts[part.path] = part
        for name in part.covers:
            self._covered.setdefault(name, []).extend(self._boxes(part, name))

    def _drop(self, path: str, why: str) -> None:
        """Delete a part that cannot be used, with a note if something is wrong with it."""
        if why:
            self.watch(Note(f"{why}; its pixels are read again", "warning"))
        self.store.delete(path)

    def _boxes(self, part: SamplesPart, name: str) -> tuple[Box, ...]:
        """Return what a part covers of an image."""
        boxes = part.covers[name]
        return (Box.whole(self._sources[name].info.shape),) if boxes is None else boxes

    def _written(self, boxes: Iterable[tuple[str, Box]], collected: Collected) -> SamplesPart:
        """Write what was collected of some boxes, each with the mark of its image, as a part."""
        by_image: dict[str, list[Box]] = {}
        for name, box in boxes:
            by_image.setdefault(name, []).append(box)
        covers: dict[str, tuple[Box, ...] | None] = {}
        for name, found in by_image.items():
            whole, parts = Box.whole(self._sources[name].info.shape), tuple(merged_boxes(found))
            covers[name] = None if parts == (whole,) else parts
        return write_samples(self.store, self.subject, covers, collected)

    def _overlaps(self, part: SamplesPart) -> bool:
        """Whether a part covers pixels that are covered already."""
        return any(
            (box & known).size
            for name in part.covers.keys() & self._covered.keys()
            for box in self._boxes(part, name)
            for known in self._covered[name]
        )

    def _pixels(self) -> int:
        """Return the number of pixels that are covered."""
        return sum(box.size for boxes in self._covered.values() for box in boxes)
