"""The seam between files and the rest: an image with its description, and reading boxes of it.

A source is a subclass of `Image` with two methods, `describe` and `decode`; everything that is
the same for all of them (regions, chosen channels, fingerprints, checks, errors, pickling) is
done here once. `docs/extending/source.md` shows a whole one.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

from chunkmeans.config.models import Limits
from chunkmeans.errors import ChunkmeansError, LimitError, SourceError
from chunkmeans.image.grid import Box
from chunkmeans.image.info import ImageInfo, Pixels
from chunkmeans.sources.files.content_hash import path_fingerprint
from chunkmeans.sources.warnings import add_warnings, collecting_warnings


@dataclass(frozen=True)
class ReadOptions:
    """What a user may choose of every image, whatever its format."""

    series: int = 0
    """Of a file with several images, which, from 0."""
    level: int = 0
    """Of a pyramid, which level; 0 is the full image."""
    axes: str | None = None
    """The stored array's axes, a letter each, instead of the file's own (``zyxc``)."""
    channels: tuple[int | str, ...] | None = None
    """Which channels, by index or name, in this order; None: all."""
    region: tuple[tuple[int | None, int | None], ...] | None = None
    """Start and stop along each axis of the image; None: all of it."""
    limits: Limits = field(default_factory=Limits, repr=False)
    """What the header may promise."""
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Handed to fsspec; may hold secrets, so never shown."""


DEFAULT_LIMITS = Limits()


class Image(ABC):
    """One image: what it is, and the pixels of any box of it.

    Opening is lazy: nothing is read before `info` or `read`. An image pickles to its path, its
    options and its info, never to an open file. `read` may be called by several threads.
    """

    reader: ClassVar[str] = "reader 1"
    """What reads it, one word and a version, which is raised when the same file gives other pixels
    than before: results of those that it read are then made again, and no others."""

    def __init__(self, path: str, options: ReadOptions | None = None) -> None:
        self.path = path
        self.options = options or ReadOptions()

    # -- what a source implements -------------------------------------------------------------

    @abstractmethod
    def describe(self) -> ImageInfo:
        """Return what the file is, from its header alone; of the whole image, all channels."""

    @abstractmethod
    def decode(self, box: Box, channels: Sequence[int]) -> Pixels:
        """Return the pixels of `box` (inside the stored image), only `channels`, in their order."""

    # -- what a source may replace ------------------------------------------------------------

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of the files and folders that hold the pixels: its own, and those it refers to."""
        return (self.path,)

    def fingerprint(self) -> str:
        """Return a text that changes when the content does: sizes and times of change of `files`.

        Raises
        ------
        SourceError
            If a file is not there or cannot be looked up.
        """
        options = self.options.storage_options
        with self.naming("cannot be opened"):
            return "+".join(path_fingerprint(file, options) for file in self.files)

    # -- what all users of an image call ------------------------------------------------------

    @cached_property
    def stored(self) -> ImageInfo:
        """What the whole stored image is, before `region` and `channels` are applied."""
        with self.naming("cannot be opened"), collecting_warnings() as found:
            info = self.describe()
            check_limit(
                self.options.limits, "pixels", info.pixels, f"its header promises {info.shape}"
            )
            return replace(info, warnings=tuple(dict.fromkeys((*info.warnings, *found))))

    @cached_property
    def info(self) -> ImageInfo:
        """What the requested part of the image is: of `region`, with only the chosen `channels`."""
        stored, region, chosen = self.stored, self._region, self._channels
        names, nodata = stored.channel_names, stored.nodata
        return replace(
            stored,
            shape=region.shape,
            chunks=tuple(min(c, s) for c, s in zip(stored.chunks, region.shape, strict=True)),
            channels=len(chosen),
            channel_names=tuple(names[i] for i in chosen) if names else (),
            nodata=tuple(nodata[i] for i in chosen) if len(nodata) > 1 else nodata,
        )

    def read(self, box: Box) -> Pixels:
        """Return the pixels of `box`, in coordinates of `info.shape`.

        Warnings of the decoder are added to those that the caller collects
        (`chunkmeans.sources.warnings`); if it collects none, they are dropped.

        Raises
        ------
        SourceError
            If the file is broken there or the box is not inside the image.
        """
        info = self.info
        if len(box.shape) != len(info.shape) or not box.inside(Box.whole(info.shape)):
            raise SourceError(f"{self.path}: box {box} is not inside the image {info.shape}")
        with self.naming(f"cannot be read at {box}"), collecting_warnings() as found:
            pixels = self.decode(box.shifted(self._region.start), self._channels)
            wanted = (*box.shape, info.channels)
            if pixels.values.shape != wanted or pixels.values.dtype != info.dtype:
                raise SourceError(
                    f"decoded {pixels.values.shape} of {pixels.values.dtype} where the header "
                    f"promises {wanted} of {info.dtype}; the file is damaged or cut short"
                )
        add_warnings(found)
        return pixels

    def has_no(self, *names: str) -> None:
        """Refuse `names` of the options where they are set: this format has nothing like it.

        Raises
        ------
        SourceError
            If one of them is not at its default.
        """
        for name in names:
            asked = getattr(self.options, name)
            if asked != getattr(ReadOptions(), name):
                raise SourceError(
                    f"images.{name} is {asked!r}, but this kind of image has no {name}"
                )

    @contextmanager
    def naming(self, what: str) -> Iterator[None]:
        """Turn any error of a decoder into a `SourceError` that names this image."""
        try:
            yield
        except Exception as error:  # decoders have no common base class of errors
            if isinstance(error, ChunkmeansError) and str(error).startswith(self.path):
                raise
            raise SourceError(f"{self.path}: {what}: {_reason(error)}") from error

    # -- the requested part -------------------------------------------------------------------

    @cached_property
    def _region(self) -> Box:
        """The requested region in stored coordinates."""
        shape, asked = self.stored.shape, self.options.region
        if asked is None:
            return Box.whole(shape)
        if len(asked) != len(shape):
            raise SourceError(
                f"{self.path}: region has {len(asked)} axes, the image has {len(shape)} "
                f"({self.stored.axes}, {shape}); give start:stop for each"
            )
        start = tuple(0 if a is None else a for a, _ in asked)
        stop = tuple(n if b is None else b for (_, b), n in zip(asked, shape, strict=True))
        for letter, a, b, n in zip(self.stored.axes, start, stop, shape, strict=True):
            if not 0 <= a < b <= n:
                raise SourceError(
                    f"{self.path}: region {a}:{b} along {letter} does not fit the image, "
                    f"which has 0:{n} there"
                )
        return Box(start, stop)

    @cached_property
    def _channels(self) -> tuple[int, ...]:
        """Stored indices of the requested channels."""
        count, names = self.stored.channels, self.stored.channel_names
        asked = self.options.channels
        if asked is None:
            return tuple(range(count))
        known = f"0 to {count - 1}" + (f" or {', '.join(names)}" if names else "")
        chosen = []
        for channel in asked:
            if isinstance(channel, str) and channel in names:
                chosen.append(names.index(channel))
            elif isinstance(channel, int) and 0 <= channel < count:
                chosen.append(channel)
            else:
                raise SourceError(
                    f"{self.path}: channel {channel!r} is out of range, the image has {known}"
                )
        return tuple(chosen)

    # -- pickling -----------------------------------------------------------------------------

    def __reduce__(self) -> tuple[Any, ...]:
        known = {"stored": self.stored} if "stored" in self.__dict__ else {}
        return type(self), (self.path, self.options), known

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r})"


def check_limit(limits: Limits, name: str, found: int, what: str) -> None:
    """Refuse what is above a limit of the config.

    Raises
    ------
    LimitError
        With both numbers and the setting to change.
    """
    allowed = getattr(limits, name)
    if found > allowed:
        raise LimitError(
            f"{what}: {found:,}, where images.limits.{name} allows {allowed:,}; raise it if the "
            "file is to be trusted",
            name,
        )


def _reason(error: Exception) -> str:
    """Return the message of an error, with its kind where its words alone may be unclear."""
    reason = str(error) or type(error).__name__
    if isinstance(error, FileNotFoundError) and error.errno is None:
        reason = f"there is no such file ({reason})"  # fsspec gives the path alone
        if error.__cause__ is not None:
            reason += f": {error.__cause__}"
    if not isinstance(error, ChunkmeansError | OSError):
        reason = f"{type(error).__name__}: {reason}"
    return reason
