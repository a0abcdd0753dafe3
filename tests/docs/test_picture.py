"""The picture of the house: its boxes are those of the import contracts and of the package."""

import tomllib
from xml.etree import ElementTree

from tests.docs.pages import DOCS, ROOT

SVG = "{http://www.w3.org/2000/svg}"
PICTURE = ElementTree.fromstring((DOCS / "assets/floors.svg").read_text())
PACKAGE = ROOT / "pipeline/chunkmeans"
CONTRACTS = [
    contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    if contract["type"] == "layers"
]
HOW = "after a change of contracts or folders: nox -s reference"


def names(layer):
    return [name.strip(" ()").removeprefix("chunkmeans.") for name in layer.split("|")]


def inside(element):
    """Return the last names of the boxes that stand in another one."""
    return [box.get("data-module").rpartition(".")[2] for box in element.findall(f"{SVG}g")]


def floors():
    return [g for g in PICTURE.findall(f"{SVG}g") if g.get("data-floor")]


def wings():
    found = [box for floor in floors() for box in floor.findall(f"{SVG}g")]
    return {box.get("data-module").removeprefix("chunkmeans."): box for box in found}


def test_its_floors_are_those_of_the_contract():
    (contract,) = [contract for contract in CONTRACTS if "containers" not in contract]
    assert [inside(floor) for floor in floors()] == list(map(names, contract["layers"])), HOW


def test_the_parts_of_a_wing_are_in_the_order_of_its_contract():
    for contract in CONTRACTS:
        for container in contract.get("containers", ()):
            wing = container.removeprefix("chunkmeans.")
            if "." not in wing:
                parts = [name for layer in contract["layers"] for name in names(layer)]
                assert inside(wings()[wing]) == parts, HOW


def test_every_module_at_the_top_and_every_folder_of_a_wing_is_in_it():
    top = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    aside = {"__init__", "py", "__pycache__", "testing"}  # testing imports what it tests
    assert top - aside == set(wings()) - aside, HOW
    for name, wing in wings().items():
        folders = {path.parent.name for path in PACKAGE.joinpath(name).glob("*/__init__.py")}
        assert folders <= set(inside(wing)), HOW


def test_a_box_stands_inside_the_frame_of_the_one_around_it():
    def frame(element):
        rect = element.find(f"{SVG}rect")
        x, y, w, h = (float(rect.get(key)) for key in ("x", "y", "width", "height"))
        return x, y, x + w, y + h

    for wing in wings().values():
        left, top, right, bottom = frame(wing)
        for part in wing.findall(f"{SVG}g"):
            a, b, c, d = frame(part)
            assert left < a < c < right, part.get("data-module")
            assert top < b < d < bottom, part.get("data-module")
