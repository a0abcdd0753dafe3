"""Draws the floors and wings of the package, as the import contracts of pyproject.toml have them.

``python docs/picture.py`` writes ``docs/assets/floors.svg``; a test compares it with the contracts.
"""

import ast
import tomllib
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

DOCS = Path(__file__).parent
PACKAGE = DOCS.parent / "pipeline" / "chunkmeans"
PICTURE = DOCS / "assets" / "floors.svg"
CAPTIONS = {
    "cli": "the command line",
    "testing": "conformance tests of plug-ins",
    "api": "run, apply, plan, segment: wires the steps, no logic",
    "steps": "what a run consists of: plan it, segment, resume what an earlier run left",
    "sources": "files to pixels",
    "engines": "where tasks run",
    "results": "labels to stores, and back",
    "config": "the YAML file, checked",
    "features": "pixels to samples",
    "events": "what a run reports",
    "seam": "members of seams by name",
    "kmeans": "the algorithm: arrays in, means and labels out",
    "image": "boxes of an image, and what an image is",
    "urls": "URLs to file systems",
    "retry": "which errors are transient",
    "secrets": "what no log may show",
    "errors": "the tree of errors",
}
WIDTH, MARGIN, GAP, PAD = 980, 60, 12, 14
CHIP, MONO, SMALL = 26, 7.3, 6.4
"""Height of a chip; width of a letter of 12 px monospace and of 12 px text, pixels."""

STYLE = """
.paper{fill:#fbfaf8;stroke:#d8d3ca}
.box{fill:#fff;stroke:#b9b2a6}
.f0 .box{fill:#f3f0ff;stroke:#9a8fc9}.f1 .box{fill:#e9f2fb;stroke:#7fa6cf}
.f2 .box{fill:#e8f5ee;stroke:#7cb797}.f3 .box{fill:#fdf3e1;stroke:#d1ab62}
.f4 .box{fill:#fbeae6;stroke:#cf9282}.f5 .box{fill:#f1f1ef;stroke:#a9a59c}
.chip{fill:#ffffffc0;stroke:#8a857a}
text{font:12px system-ui,"Segoe UI",Helvetica,Arial,sans-serif;fill:#4b4740}
.name{font:700 15px ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#1f1d1a}
.part{font:12px ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#1f1d1a}
.line{stroke:#8a857a;fill:none}.tip{fill:#8a857a}
@media (prefers-color-scheme:dark){
.paper{fill:#20222a;stroke:#3a3d48}
.f0 .box{fill:#2f2b47;stroke:#7b70b3}.f1 .box{fill:#22344a;stroke:#5c86b4}
.f2 .box{fill:#203a2e;stroke:#5b9b79}.f3 .box{fill:#41351d;stroke:#b08c46}
.f4 .box{fill:#432a25;stroke:#b0705f}.f5 .box{fill:#2e2f33;stroke:#77756f}
.chip{fill:#00000040;stroke:#9b978d}
text{fill:#cfcac0}.name,.part{fill:#f4f1ea}.line{stroke:#9b978d}.tip{fill:#9b978d}}
""".strip()

Layers = tuple[tuple[str, ...], ...]


def contracts() -> tuple[Layers, dict[str, Layers]]:
    """Return the floors of the package, top first, and those inside each wing by its name."""
    tool = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["tool"]["importlinter"]
    floors: Layers = ()
    wings: dict[str, Layers] = {}
    for contract in tool["contracts"]:
        if contract["type"] != "layers":
            continue
        layers = tuple(_names(layer) for layer in contract["layers"])
        if "containers" not in contract:
            floors = layers
        for container in contract.get("containers", ()):
            wing = container.removeprefix("chunkmeans.")
            if "." not in wing:
                wings[wing] = layers
    return floors, wings


def drawn() -> str:
    """Return the picture as SVG."""
    floors, wings = contracts()
    parts: list[str] = []
    top = 56
    for number, floor in enumerate(floors):
        width = (WIDTH - MARGIN - 24 - GAP * (len(floor) - 1)) / len(floor)
        rooms = [_rows(wings.get(wing) or _folders(wing), width) for wing in floor]
        height = 36 + max(map(len, rooms)) * (CHIP + 8) + 6 * any(rooms)
        shade = min(5, number if number < 4 else 4 + (number > 5))
        parts.append(f'<g class="f{shade}" data-floor="{number}">')
        for index, (wing, rows) in enumerate(zip(floor, rooms, strict=True)):
            left = MARGIN + index * (width + GAP)
            parts += _wing(wing, left, top, width, height, rows, chained=wing in wings)
        parts.append("</g>")
        top += height + GAP
    bottom = top + 8
    arrow = (
        f'<path class="line" stroke-width="2" d="M36 60V{bottom - 34}"/>'
        f'<path class="tip" d="M29 {bottom - 36}h14l-7 14z"/>'
        f'<text transform="translate(24 {bottom / 2 + 60:.0f}) rotate(-90)">'
        "imports point down</text>"
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom}" role="img">',
            "<title>Floors and wings of chunkmeans</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="paper" x="1" y="1" width="{WIDTH - 2}" height="{bottom - 2}" rx="8"/>',
            f'<text x="{MARGIN}" y="34">A box imports what stands below it, nothing beside or '
            "above. Inside a box, what is left of an arrow imports what is right of it.</text>",
            arrow,
            *parts,
            "</svg>\n",
        ]
    )


def _names(layer: str) -> tuple[str, ...]:
    return tuple(name.strip(" ()").removeprefix("chunkmeans.") for name in layer.split("|"))


def _folders(wing: str) -> Layers:
    """Return the sub-packages of a wing without contracts of its own, as one floor."""
    found = tuple(sorted(path.parent.name for path in (PACKAGE / wing).glob("*/__init__.py")))
    return (found,) if found else ()


def _rows(layers: Layers, width: float) -> list[list[tuple[str, bool]]]:
    """Return names of chips row by row, and whether an arrow comes before."""
    rows: list[list[tuple[str, bool]]] = []
    used = width
    for number, layer in enumerate(layers):
        for index, name in enumerate(layer):
            arrow = number > 0 and index == 0
            need = _chip(name) + (22 if arrow else 8)
            if used + need > width - 2 * PAD:
                rows.append([])
                used = 0.0
            rows[-1].append((name, arrow))
            used += need
    return rows


def _chip(name: str) -> float:
    return len(name) * MONO + 18


def _wing(
    wing: str, left: float, top: float, width: float, height: float,
    rows: Sequence[Sequence[tuple[str, bool]]], *, chained: bool,
) -> Iterator[str]:  # fmt: skip
    """Yield a box with its name, its caption and its chips; the frame takes four numbers."""
    beside = len(wing) * 9.2 + 14
    caption = CAPTIONS.get(wing) or _docstring(wing)
    caption = caption[: int((width - 2 * PAD - beside) / SMALL)]
    yield f'<g data-module="chunkmeans.{wing}">'
    yield (
        f'<rect class="box" x="{left:.0f}" y="{top}" width="{width:.0f}" height="{height}" rx="6"/>'
    )
    yield f'<text class="name" x="{left + PAD:.0f}" y="{top + 23}">{wing}</text>'
    yield f'<text x="{left + PAD + beside:.0f}" y="{top + 23}">{escape(caption)}</text>'
    y = top + 38
    for row in rows:
        x = left + PAD
        for name, arrow in row:
            if arrow and chained:  # where there are contracts, the left imports the right
                yield (
                    f'<path class="line" stroke-width="1.5" d="M{x + 1:.0f} {y + CHIP / 2:.0f}h9'
                    f'm-4 -4l4 4l-4 4"/>'
                )
                x += 15
            yield f'<g data-module="chunkmeans.{wing}.{name}">'
            yield (
                f'<rect class="chip" x="{x:.0f}" y="{y}" width="{_chip(name):.0f}" '
                f'height="{CHIP}" rx="4"/>'
            )
            yield f'<text class="part" x="{x + 9:.0f}" y="{y + 17}">{name}</text></g>'
            x += _chip(name) + 7
        y += CHIP + 8
    yield "</g>"


def _docstring(wing: str) -> str:
    path = PACKAGE / wing / "__init__.py"
    text = (path if path.exists() else PACKAGE / f"{wing}.py").read_text()
    return (ast.get_docstring(ast.parse(text)) or wing).splitlines()[0]


if __name__ == "__main__":
    PICTURE.write_text(drawn())
