"""The numbers by which a run is cut into tasks; none of them shows in a result."""

from dataclasses import dataclass

from chunkmeans.engines.base import Size


@dataclass(frozen=True, slots=True)
class Tuning:
    """How a run is cut into tasks; travels with every job."""

    libraries: int = 230 * 2**20
    """Bytes of a worker process before it does anything: Python, NumPy, Numba, Dask, zarr."""
    chunk_pixels: int = 2**25
    """Pixels of a chunk, at most, unless one block of labels has more."""
    bundle_pixels: int = 2**25
    """Pixels of a task, about: seconds of work."""
    piece_pixels: int = 2**20
    """Pixels decoded at a time, about."""
    small_pixels: int = 2**24
    """Up to here an image is one task, from reading to its finished store, if there are many."""
    small_and_few_pixels: int = 2**21
    """The same where there are too few images to keep every thread busy with its own."""
    tasks_per_thread: int = 16
    """Tasks that a batch of saved samples gives each thread, at least: at its end some wait."""

    def most_pixels_of_a_task(self, images: int, size: Size) -> int:
        """Return up to how many pixels an image is one task, of so many images."""
        return self.small_pixels if images >= 2 * size.threads else self.small_and_few_pixels

    def task_pixels(self, pixels: int, size: Size) -> int:
        """Return the pixels of a task, about, of so many of an image."""
        return max(1, min(self.bundle_pixels, pixels // (4 * size.threads)))


DEFAULT = Tuning()
"""What jobs are made with; a test that patches it changes the whole run, workers included."""


def default_tuning() -> Tuning:
    """Return `DEFAULT` as it is now."""
    return DEFAULT
