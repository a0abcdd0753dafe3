"""Folders of good and of hostile files, made with a fixed seed, and what may become of each."""

import os
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image as Pillow

from tests.test_exactness import picture

SUFFIXES = (
    ".tif", ".tiff", ".btf", ".svs", ".ndpi", ".png", ".apng", ".jpg", ".jpeg", ".webp", ".bmp",
    ".gif", ".npy",
)  # fmt: skip
RGB, GREY = {"photometric": "rgb"}, {"photometric": "minisblack"}
HEIGHT, WIDTH = 26, 30


@dataclass(frozen=True)
class Fate:
    """What may become of a file."""

    states: tuple[str, ...] = ("failed",)
    reason: str = ""
    """Pattern of the reason, if it has to be a certain one."""
    like: str = ""
    """If it has a result, the good file whose result it is."""


USED = ("done", "warned")


# -- whole files ------------------------------------------------------------------------------


def grey(seed: int = 0, dtype: str = "uint8") -> np.ndarray:
    """Blobs of one channel, (height, width)."""
    return picture(dtype, 1, (HEIGHT, WIDTH), seed=seed)[..., 0]


def colour(seed: int = 0) -> np.ndarray:
    """Blobs of three channels."""
    return picture("uint8", 3, (HEIGHT, WIDTH), seed=seed)


def tiff(values: np.ndarray, **how: Any) -> bytes:
    """Return the bytes of a TIFF."""
    file = BytesIO()
    tifffile.imwrite(file, values, **{"metadata": None, **how})
    return file.getvalue()


def pages(count: int, **how: Any) -> bytes:
    """Return the bytes of a TIFF of several directories."""
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for seed in range(count):
            writer.write(grey(seed), contiguous=False, metadata=None, **GREY, **how)
    return file.getvalue()


def pyramid() -> bytes:
    """Return the bytes of a TIFF with a smaller level in a SubIFD."""
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        how: dict[str, Any] = {"tile": (16, 16), "metadata": None, **RGB}
        writer.write(colour(), subifds=1, **how)
        writer.write(colour()[::2, ::2], subfiletype=1, **how)
    return file.getvalue()


def pillow(values: np.ndarray, kind: str, **how: Any) -> bytes:
    """Return the bytes of a picture by pillow."""
    file = BytesIO()
    Pillow.fromarray(values).save(file, kind, **how)
    return file.getvalue()


def npy(values: np.ndarray) -> bytes:
    """Return the bytes of a NumPy file."""
    file = BytesIO()
    np.save(file, values)
    return file.getvalue()


def tiffs() -> dict[str, bytes]:
    """Return TIFFs of many kinds, by name."""
    tiled: dict[str, Any] = {"tile": (16, 16), **RGB}
    made = {
        "raw": tiff(grey(), **GREY),
        "strips": tiff(grey(1, "uint16"), rowsperstrip=5, compression="zlib", **GREY),
        "big": tiff(colour(2), bigtiff=True, byteorder=">", **tiled),
        "planar": tiff(np.moveaxis(colour(3), -1, 0), planarconfig="separate", **RGB),
        "pages": pages(3, compression="zlib"),
        "pyramid": pyramid(),
        "palette": tiff(grey(4), photometric="palette", colormap=np.zeros((3, 256), np.uint16)),
        "float": tiff(grey(5).astype("float32"), compression="zlib", predictor=3, **GREY),
        "ome": tiff(np.stack([grey(6), grey(7)]), ome=True, metadata={"axes": "ZYX"}, **GREY),
        "imagej": tiff(np.stack([grey(8), grey(9)]), imagej=True),
        "described": tiff(np.stack([grey(1), grey(2)]), metadata={"axes": "ZYX"}, **GREY),
    }
    for name in ("lzw", "packbits", "jpeg", "zstd", "jpeg2000", "lerc", "lzma", "webp"):
        made[name] = tiff(colour(len(made)), compression=name, **tiled)
    return made


def pictures() -> dict[str, bytes]:
    """Return pictures that are no TIFF, by name with suffix."""
    deep = Pillow.fromarray(grey(3).astype("uint16") * 257)
    file = BytesIO()
    deep.save(file, "PNG")
    return {
        "a.png": pillow(colour(), "PNG"),
        "deep.png": file.getvalue(),
        "a.jpg": pillow(colour(1), "JPEG"),
        "a.gif": pillow(grey(2), "GIF"),
        "a.bmp": pillow(colour(3), "BMP"),
        "a.webp": pillow(colour(4), "WEBP", lossless=True),
        "a.npy": npy(grey(5)),
    }


def good_files(folder: Path, count: int) -> None:
    """Write that many small images that every run can segment."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds: list[tuple[str, Callable[[int], bytes]]] = [
        (".tif", lambda n: tiff(colour(n), tile=(16, 16), compression="zlib", **RGB)),
        (".png", lambda n: pillow(colour(n), "PNG")),
        (".jpg", lambda n: pillow(colour(n), "JPEG")),
        (".tiff", lambda n: tiff(colour(n), **RGB)),
    ]
    for n in range(count):
        suffix, make = kinds[n % len(kinds)]
        (folder / f"good {n:04d}{suffix}").write_bytes(make(n))


# -- broken ones ------------------------------------------------------------------------------


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Return a TIFF with a few bytes changed, most of them where its directories are."""
    data = bytearray(content)
    order = "<" if data[:2] == b"II" else ">"
    first = struct.unpack(f"{order}I", data[4:8])[0]
    for _ in range(int(rng.integers(1, 6))):
        near = rng.random() < 0.7
        at = first + int(rng.integers(0, 200)) if near else int(rng.integers(0, len(data)))
        at = min(at, len(data) - 1)
        match int(rng.integers(0, 6)):
            case 0:
                data[at] ^= 1 << int(rng.integers(0, 8))
            case 1:
                data[at : at + 1] = rng.bytes(1)
            case 2:
                data[at : at + 4] = [b"\0" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\1\0\0\0"][
                    int(rng.integers(0, 4))
                ]
            case 3:
                data[at : at + 2] = rng.bytes(2)
            case 4:
                del data[at : at + int(rng.integers(1, 9))]
            case _:
                other = int(rng.integers(0, len(data)))
                data[at : at + 12] = data[other : other + 12]
        if len(data) < 9:
            break
    return bytes(data)


def lengths(content: bytes, count: int) -> list[int]:
    """Return lengths below that of a file, from nothing to all but one byte."""
    return sorted({int(n) for n in np.linspace(0, len(content) - 1, count)})


def chunk_of(kind: bytes, body: bytes) -> bytes:
    """Return a chunk of a PNG."""
    check = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + check


def png_bomb(edge: int, pixels: bytes) -> bytes:
    """Return a PNG whose header promises that edge."""
    head = chunk_of(b"IHDR", struct.pack(">IIBBBBB", edge, edge, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk_of(b"IDAT", pixels) + chunk_of(b"IEND", b"")


def directory(tags: list[tuple[int, int, int, int]], after: int) -> bytes:
    """Return a directory of a little-endian TIFF, of (code, type, count, value)."""
    body = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return struct.pack("<H", len(tags)) + body + struct.pack("<I", after)


def tiff_of(width: int, height: int, data: bytes, compression: int = 1, after: int = 0) -> bytes:
    """Return a TIFF of one strip that says of itself what is asked."""
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, compression),
        (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height),
        (279, 4, 1, len(data)),
    ]  # fmt: skip
    start = 8 + len(data)
    return b"II*\0" + struct.pack("<I", start) + data + directory(tags, after)


def zeros(size: int) -> bytes:
    """Return that many zeros, a multiple of a MiB, deflated: one block of them again and again."""
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    blocks = size // 2**20
    check = struct.pack(">HH", blocks * 2**20 % 65_521, 1)  # Adler-32
    return b"\x78\xda" + block * blocks + packer.flush() + check


def _loops() -> Iterator[tuple[str, bytes, Fate]]:
    plain = tiff_of(WIDTH, HEIGHT, grey().tobytes())
    start = struct.unpack("<I", plain[4:8])[0]
    looped = plain[:-4] + struct.pack("<I", start)
    yield "self.tif", looped, Fate(reason="leads back")
    second = plain[:-4] + struct.pack("<I", len(plain)) + plain[start:-4] + struct.pack("<I", start)
    yield "two.tif", second, Fate(reason="leads back")
    many = bytearray(b"II*\0" + struct.pack("<I", 8))
    for n in range(40_000):
        at = 8 + 18 * n
        many += directory([(254, 4, 1, 0)], at + 18 if n < 39_999 else 8)
    yield "many.tif", bytes(many), Fate(reason="leads back")
    counted = bytearray(plain)
    counted[start : start + 2] = b"\xff\xff"
    yield "tags.tif", bytes(counted), Fate()
    yield "nowhere.tif", b"II*\0" + struct.pack("<I", 2**31), Fate()
    yield "itself.tif", b"II*\0" + struct.pack("<I", 2), Fate()
    sub = bytearray(pyramid())
    with tifffile.TiffFile(BytesIO(sub)) as tif:
        tag = tif.pages[0].tags[330]
        struct.pack_into("<I", sub, tag.offset + 8, tif.pages[0].offset)
    yield "sub.tif", bytes(sub), Fate(("failed", *USED))


def _bombs() -> Iterator[tuple[str, bytes, Fate]]:
    too_much = Fate(reason="raise `memory`|images.limits|cannot hold")
    packed = zlib.compress(bytes(1000))
    for edge in (2**31 - 1, 60_000, 30_000):
        yield f"{edge}.png", png_bomb(edge, packed), too_much
    yield "real.png", png_bomb(16_000, zeros(16_000 * 48_001 // 2**20 * 2**20)), too_much
    yield "deflate.tif", tiff_of(2**14, 2**15, zeros(2**29), compression=8), too_much
    yield "deflate2.tif", tiff_of(2**20, 2**20, zeros(2**24), compression=8), too_much
    yield "plain.tif", tiff_of(2**31, 2**31, b"12345678"), too_much
    yield "tall.tif", tiff_of(1, 2**32 - 1, b"12345678"), Fate(reason="cannot hold|memory")
    for code in (5, 7, 32773, 50000, 50001, 34712):
        yield f"code{code}.tif", tiff_of(2**14, 2**15, b"12345678" * 9, code), Fate()
    large = bytearray(pillow(grey(), "JPEG"))
    at = large.index(b"\xff\xc0")
    struct.pack_into(">HH", large, at + 5, 65_500, 65_500)
    yield "a.jpg", bytes(large), too_much
    gif = bytearray(pillow(grey(), "GIF"))
    struct.pack_into("<HH", gif, 6, 65_535, 65_535)
    yield "a.gif", bytes(gif), too_much
    bmp = bytearray(pillow(grey(), "BMP"))
    struct.pack_into("<ii", bmp, 18, 2**17, 2**17)
    yield "a.bmp", bytes(bmp), Fate()
    head = npy(grey()).replace(b"(26, 30)", b"(2**9,3)")
    yield "code.npy", head, Fate()
    shape = npy(np.zeros((10**4, 10**4), np.uint8)[:0])
    yield "empty.npy", shape, Fate()
    yield "object.npy", b"\x93NUMPY\1\0" + npy(grey())[8:].replace(b"|u1", b"|O "), Fate()


def _odd() -> Iterator[tuple[str, bytes, Fate]]:
    """Odd, and to be segmented."""
    kept = Fate(USED)
    yield "cmyk.jpg", _converted("CMYK", "JPEG"), kept
    yield "cmyk.tif", tiff(np.dstack([colour(), grey()]), photometric="separated"), kept
    yield "palette.png", _converted("P", "PNG"), kept
    yield "palette.gif", _converted("P", "GIF"), kept
    yield "bits.png", _converted("1", "PNG"), kept
    yield "bits.tif", tiff(grey() > 99, **GREY), kept
    yield "deep.tif", tiff(grey(dtype="uint16"), **GREY), kept
    yield "deep.png", pictures()["deep.png"], kept
    yield "signed.tif", tiff(grey().astype("int32") - 99, **GREY), kept
    yield "alpha.png", _converted("RGBA", "PNG"), kept
    frames = [Pillow.fromarray(grey(n)) for n in range(3)]
    for kind in ("GIF", "PNG", "WEBP"):
        file = BytesIO()
        frames[0].save(file, kind, save_all=True, append_images=frames[1:])
        yield f"moving.{kind.lower()}", file.getvalue(), Fate(("warned",), "frames")


def _converted(mode: str, kind: str) -> bytes:
    file = BytesIO()
    Pillow.fromarray(colour()).convert(mode).save(file, kind)
    return file.getvalue()


def hostile_files(folder: Path, *, cuts: int = 10, mutants: int = 60) -> dict[str, Fate]:
    """Write hostile files, and return what may become of each, by path in the folder.

    Parameters
    ----------
    folder
        Where to write them.
    cuts
        Lengths at which each kind of file is cut.
    mutants
        TIFFs with bytes changed.
    """
    rng = np.random.default_rng(4)
    fates: dict[str, Fate] = {}

    def write(name: str, content: bytes, fate: Fate = Fate()) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        fates[name] = fate

    whole = {f"{name}.tif": content for name, content in tiffs().items()} | pictures()
    for name, content in whole.items():
        write(f"whole/{name}", content, Fate(USED))
        stem, suffix = name.rsplit(".", 1)
        for length in lengths(content, cuts):
            fate = Fate(("failed", *USED), like=f"whole/{name}")
            write(f"cut/{stem}/{length}.{suffix}", content[:length], fate)
    for suffix in SUFFIXES:
        write(f"wrong/zero{suffix}", b"", Fate(reason="empty|bytes|PNG|JPEG|NumPy|EOF|data"))
        write(f"wrong/text{suffix}", b"Dear Sir or Madam,\n" * 9)
        write(f"wrong/random{suffix}", rng.bytes(5000))
        write(f"wrong/pdf{suffix}", b"%PDF-1.7\n" + rng.bytes(99))
    for name in ("a.png", "a.jpg"):
        write(f"wrong/{name}.tif", whole[name], Fate(USED, like=f"whole/{name}"))
    write("wrong/raw.tif.png", whole["raw.tif"], Fate(USED, like="whole/raw.tif"))
    for group, made in (("loop", _loops()), ("bomb", _bombs()), ("odd", _odd())):
        for name, content, fate in made:
            write(f"{group}/{name}", content, fate)
    for n in range(mutants):
        content = list(tiffs().values())[n % 19] if n < 19 else whole["strips.tif"]
        write(f"mutant/{n}.tif", mutated(content, rng), Fate(("failed", "skipped", *USED)))
    good = whole["raw.tif"]
    for name in (
        "line\nbreak.tif",
        "ä\u0308 (1).tif",
        "a:b*?.tif",
        "con.tif",
        "x" * 240 + ".tif",
        "\udcff.tif",
    ):
        write(f"names/{name}", good, Fate(USED, like="whole/raw.tif"))
    for name in ("ä.tif", "a\u0308.tif", "A.tif", "a.tif", "a.png"):
        write(f"names/twins/{name}", good, Fate(USED, like="whole/raw.tif"))
    fates |= _special(folder / "special")
    return fates


def _special(folder: Path) -> dict[str, Fate]:
    """Make what is no file but looks like an image."""
    folder.mkdir()
    (folder / "gone.tif").symlink_to(folder / "nothing.tif")
    (folder / "circle.tif").symlink_to(folder / "circle.tif")
    (folder / "folder.tif").mkdir()
    os.mkfifo(folder / "pipe.tif")
    here = os.open(folder, os.O_RDONLY)  # a socket's path may have 107 bytes
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{here}/socket.png")
    os.close(here)
    fates = {
        "gone.tif": Fate(reason="link to .*nothing.tif, which is gone"),
        "circle.tif": Fate(reason="symbolic links"),
        "folder.tif": Fate(reason="is a folder"),
        "pipe.tif": Fate(reason="is a named pipe"),
        "socket.png": Fate(reason="is a socket"),
    }
    if os.geteuid():  # root reads everything
        (folder / "locked.tif").write_bytes(tiffs()["raw"])
        (folder / "locked.tif").chmod(0)
        fates["locked.tif"] = Fate(reason="Permission denied")
    return {f"special/{name}": fate for name, fate in fates.items()}
