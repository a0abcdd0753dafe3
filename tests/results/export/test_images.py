"""Which images an export takes, which files it writes, and what it does where they are."""

import numpy as np
import pytest
from chunkmeans.errors import ConfigError
from chunkmeans.results.export import Exporter, export_images, registry
from chunkmeans.results.export.png import PngExporter
from chunkmeans.results.export.registry import EXPORTERS
from chunkmeans.results.read.catalog import Row, write_catalog
from chunkmeans.results.read.open_results import Run
from chunkmeans.results.store.store import Store
from PIL import Image

from tests.results.examples import begin, finished, image_info, image_labels

PICTURE, VOLUME = (30, 41), (3, 12, 10)


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def exported(run, *images, to="png", folder, **options):
    return [
        (file.state, file.path.removeprefix(f"{folder}/"))
        for file in export_images(run, images, to, str(folder), **options)
    ]


def written(store, **shapes):
    """A run of images by id, with a failed one."""
    for name, shape in shapes.items():
        finished(
            store, image_info(shape), image_labels(shape), image=name.replace("__", "/"), chunk=4
        )
    rows = [
        Row(name.replace("__", "/"), "x.tif", "done", store=f"images/{name}.ome.zarr")
        for name in shapes
    ]
    write_catalog(store, [*rows, Row("broken", "b.tif", "failed", "b.tif: is empty")])
    return Run(store, None)


def test_every_image_that_has_labels_becomes_a_file(any_store, tmp_path):
    run = written(any_store, a=PICTURE, b__c=PICTURE)
    found = exported(run, folder=tmp_path / "png")
    assert found == [("written", "a.png"), ("written", "b/c.png")]
    for name in ("a", "b/c"):
        np.testing.assert_array_equal(
            pixels(tmp_path / f"png/{name}.png"), run.images[name].labels()[...]
        )
    left = sorted(p.name for p in (tmp_path / "png").rglob("*") if p.is_file())
    assert left == ["a.png", "c.png"]


def test_the_palette_is_that_of_the_store(tmp_path):
    from chunkmeans.results.models.models import group_attributes

    run = written(Store(str(tmp_path / "out")), a=PICTURE)
    exported(run, folder=tmp_path / "png")
    colours = group_attributes(run.store, "images/a.ome.zarr")["ome"]["image-label"]["colors"]
    with Image.open(tmp_path / "png/a.png") as picture:
        shown = np.asarray(picture.convert("RGBA"))
    labels = run.images["a"].labels()[...]
    for colour in colours:
        value, rgba = colour["label-value"], colour["rgba"]
        assert (shown[labels == value] == rgba).all()
    assert colours[0]["rgba"][3] == 0


def test_a_volume_and_a_film_become_a_file_per_plane(tmp_path):
    run = written(Store(str(tmp_path / "out")), a=VOLUME, b=(2, 11, 6, 5))
    found = exported(run, folder=tmp_path / "png")
    assert found[:3] == [("written", f"a_z{z}.png") for z in range(3)]
    assert found[3][1] == "b_t0_z00.png"
    assert found[-1][1] == "b_t1_z10.png"
    assert len(found) == 3 + 2 * 11
    labels = run.images["b"].labels()[...]
    np.testing.assert_array_equal(pixels(tmp_path / "png/b_t1_z07.png"), labels[1, 7])


def test_a_level_of_the_pyramid_has_files_of_its_own(tmp_path):
    run = written(Store(str(tmp_path / "out")), a=PICTURE)
    exported(run, folder=tmp_path)
    assert exported(run, folder=tmp_path, level=1) == [("written", "a_level1.png")]
    np.testing.assert_array_equal(pixels(tmp_path / "a_level1.png"), run.images["a"].labels(1)[...])
    [failed] = export_images(run, ["a"], "png", str(tmp_path), level=9)
    assert failed.state == "failed"
    assert "has no level 9" in failed.reason


def test_files_that_are_there_are_skipped_or_written_anew(tmp_path):
    run = written(Store(str(tmp_path / "out")), a=PICTURE, b=PICTURE)
    (tmp_path / "a.png").write_bytes(b"of yesterday")
    found = exported(run, folder=tmp_path)
    assert found == [("skipped", "a.png"), ("written", "b.png")]
    assert (tmp_path / "a.png").read_bytes() == b"of yesterday"
    found = exported(run, "a", folder=tmp_path, overwrite=True)
    assert found == [("written", "a.png")]
    assert pixels(tmp_path / "a.png").shape == PICTURE


def test_an_unknown_image_is_refused_before_anything_is_written(tmp_path):
    run = written(Store(str(tmp_path / "out")), slide_1=PICTURE)
    with pytest.raises(ConfigError, match=r"of an image 'slide-1'; did you mean 'slide_1'\?"):
        exported(run, "slide_1", "slide-1", folder=tmp_path / "png")
    with pytest.raises(ConfigError, match=r"of an image 'broken'; its ids are in catalog\.csv"):
        exported(run, "broken", folder=tmp_path / "png")
    assert not (tmp_path / "png").exists()


def test_an_image_that_is_damaged_or_not_finished_fails_alone(tmp_path):
    store = Store(str(tmp_path / "out"))
    written(store, a=PICTURE, b=PICTURE)
    begin(store, image_info(PICTURE), image="b", chunk=4)  # which a run has begun anew
    (tmp_path / "out/images/a.ome.zarr/0/c/0/0").unlink()
    finished(store, image_info(PICTURE), image_labels(PICTURE), image="c", chunk=4)
    rows = [Row(i, f"{i}.tif", "done", store=f"images/{i}.ome.zarr") for i in "abc"]
    write_catalog(store, rows)
    run = Run(store, None)
    a, b, c = export_images(run, [], "png", str(tmp_path / "png"))
    assert (a.state, b.state, c.state) == ("failed", "failed", "written")
    assert "are missing" in a.reason
    assert "is incomplete" in b.reason


def test_a_chunk_that_does_not_decode_leaves_no_file(tmp_path):
    run = written(Store(str(tmp_path / "out")), a=PICTURE)
    part = next(p for p in (tmp_path / "out/images/a.ome.zarr/0/c").rglob("*") if p.is_file())
    part.write_bytes(bytes(len(part.read_bytes())))
    [found] = export_images(run, [], "png", str(tmp_path / "png"))
    assert found.state == "failed"
    assert "a.ome.zarr: level 0 is damaged at [0:30, 0:41]" in found.reason
    assert list((tmp_path / "png").iterdir()) == []


def test_an_export_that_is_interrupted_leaves_no_part_of_a_file(tmp_path, monkeypatch):
    run = written(Store(str(tmp_path / "out")), a=PICTURE, b=PICTURE)
    files = export_images(run, [], "png", str(tmp_path / "png"))
    assert next(files).state == "written"

    def interrupted(exporter, labels, destination):
        destination.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(PngExporter, "export", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(files)
    assert [file.name for file in (tmp_path / "png").iterdir()] == ["a.png"]
    found = exported(run, folder=tmp_path / "png")
    assert found == [("skipped", "a.png"), ("written", "b.png")]


def test_an_unknown_exporter_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"there is no exporter 'pnq'; did you mean png\?"):
        EXPORTERS.load("pnq")
    with pytest.raises(ConfigError, match=r"there is no exporter 'tiff'; known are png"):
        EXPORTERS.load("tiff")


def test_every_exporter_of_the_registry_can_be_imported():
    for name in registry.EXPORTERS.own:
        exporter = EXPORTERS.load(name)()
        assert isinstance(exporter, Exporter)
        assert exporter.name == name


def test_an_installed_exporter_that_cannot_be_imported_is_named(monkeypatch):
    from importlib.metadata import EntryPoint

    broken = EntryPoint("svg", "no_such_module:Svg", "chunkmeans.exporters")
    monkeypatch.setattr("chunkmeans.seam.entry_points", lambda group: [broken])
    with pytest.raises(
        ConfigError, match="exporter 'no_such_module:Svg' for 'svg' cannot be imported"
    ):
        EXPORTERS.load("svg")


def test_a_piece_is_of_whole_chunks_where_memory_allows_it(tmp_path):
    run = written(Store(str(tmp_path / "out")), a=(64, 100))
    from chunkmeans.results.export.base import label_view

    view = label_view(run.images["a"], 0)
    small = type(view)(view.image, 0, view.colours, view.array, piece_bytes=100 * 7)
    boxes = [box for box, _ in small.pieces()]
    assert {box.shape for box in boxes} == {(4, 100)}  # whole chunks: none is decoded twice
    assert [len(piece) for _, piece in view.pieces()] == [64]
