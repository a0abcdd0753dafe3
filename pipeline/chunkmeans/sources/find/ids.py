"""Ids of images: readable, unique, and safe as part of a path on any file system. Pure."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

LONGEST_PART = 100
"""The longest part of an id between slashes, in UTF-8; leaves room for suffixes."""
MOST_FOLDERS = 8
"""Folders that an id may have, so that it stays short enough for every store."""
_UNSAFE = re.compile(r"[^\w.+=,@ ()-]")
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_STORE = re.compile(r"(\.zarr[. ]*)+$", re.IGNORECASE)
_PLAIN = re.compile(
    r"(?!(?:.*/)?(?:con|prn|aux|nul|com\d|lpt\d)(?:/|$))[\w+=,@-]+(?:/[\w+=,@-]+)*",
    re.ASCII | re.IGNORECASE,
)
"""Paths, if short, that are ids as they are: most of a million are."""


def safe_name(relative: str) -> str:
    r"""Turn a relative path, whatever is in it, into an id.

    The id has the folders, but never begins with a slash nor climbs with ``..``. Characters
    that are trouble somewhere become ``_``; long parts are cut; Unicode is in its composed form.

    >>> safe_name("plate 1/cells*.tif"), safe_name("../../etc/passwd"), safe_name("C:\\x")
    ('plate 1/cells_.tif', 'etc/passwd', 'C__x')
    """
    if len(relative) <= LONGEST_PART and _PLAIN.fullmatch(relative):
        return "/".join(relative.split("/")[-MOST_FOLDERS:])
    parts = [_safe_part(part) for part in relative.split("/") if part.strip(". ")]
    folders = [_STORE.sub("", part).strip(". ") or "_" for part in parts[:-1]]
    return "/".join([*folders, *parts[-1:]][-MOST_FOLDERS:]) or "image"


def _safe_part(part: str) -> str:
    """Return one name between slashes."""
    composed = unicodedata.normalize("NFC", part.encode("utf-8", "replace").decode("utf-8"))
    safe = _UNSAFE.sub("_", composed)
    cut = safe.encode()[:LONGEST_PART].decode(errors="ignore").strip(". ") or "_"
    return f"_{cut}" if _DEVICES.match(cut) else cut


def unique_ids(names: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Ids for `names`, of which two may be the same, by a short hash of their `keys`.

    Every one of those that clash gets a hash, so that an id depends on its own key and not on
    the order. Names that differ only in case clash, for some file systems ignore it.

    Parameters
    ----------
    names
        Results of `safe_name`.
    keys
        What distinguishes the images, each another.

    >>> unique_ids(["a", "b", "B"], ["a.png", "b.png", "B.png"])
    ['a', 'b-81bc858c', 'B-daed4a17']
    """
    ids = list(names)
    length = 4
    while length <= 32:
        folded = [_folded(name) for name in ids]
        counts = Counter(folded)
        clashing = [i for i, name in enumerate(folded) if counts[name] > 1]
        if not clashing:
            break
        for i in clashing:
            digest = hashlib.blake2b(keys[i].encode("utf-8", "surrogateescape"), digest_size=length)
            ids[i] = f"{names[i]}-{digest.hexdigest()}"
        length *= 2
    return ids


def _folded(name: str) -> str:
    """Return what two names share that a file system may take for the same."""
    return unicodedata.normalize("NFC", name.casefold())
