import subprocess
import sys
from importlib.metadata import EntryPoint

import numpy as np
import pytest
from chunkmeans.errors import SourceError
from chunkmeans.sources import open_image, registry, suffixes
from chunkmeans.sources.array import MemoryImage


def opened(path, options):
    return MemoryImage(np.zeros((4, 4), "uint8"), name=path, options=options)


@pytest.fixture
def installed(monkeypatch):
    def points(**named):
        entries = [EntryPoint(n, v, registry.GROUP) for n, v in named.items()]
        monkeypatch.setattr(registry, "entry_points", lambda group: entries)
        registry._installed.cache_clear()

    yield points
    registry._installed.cache_clear()


def test_every_source_of_ours_loads_and_no_suffix_has_two():
    for source in registry.SOURCES:
        assert callable(source.load())
    ours = [suffix for source in registry.SOURCES for suffix in source.suffixes]
    assert len(set(ours)) == len(ours)


def test_an_unknown_suffix_lists_the_known_ones(tmp_path):
    (tmp_path / "a.spam").write_text("spam")
    with pytest.raises(SourceError) as error:
        open_image(str(tmp_path / "a.spam"))
    assert str(tmp_path / "a.spam") in str(error.value)
    assert all(suffix in str(error.value) for suffix in suffixes())


def test_a_missing_file_and_a_folder_are_errors_that_name_them(tmp_path):
    with pytest.raises(SourceError, match=r"gone\.tif: no such file"):
        open_image(str(tmp_path / "gone.tif"))
    with pytest.raises(SourceError, match="is a folder"):
        open_image(str(tmp_path))
    with pytest.raises(SourceError, match="cannot be opened"):
        open_image("a\0b.tif")


def test_an_empty_file_is_an_error_when_it_is_read(tmp_path):
    for suffix in suffixes():
        path = tmp_path / f"empty{suffix}"
        path.touch()
        with pytest.raises(SourceError, match=f"empty{suffix}"):
            _ = open_image(str(path)).info


@pytest.mark.parametrize("name", ["spam", "other.spam"])
def test_an_installed_source_reads_its_suffix(installed, tmp_path, name):
    installed(**{name: f"{__name__}:opened"})
    assert f".{name}" in suffixes()
    assert open_image(str(tmp_path / f"a.{name}")).info.shape == (4, 4)


def test_an_installed_source_reads_its_scheme(installed):
    installed(**{"spam://": f"{__name__}:opened"})
    assert open_image("spam://server/7").info.shape == (4, 4)
    assert "spam" not in " ".join(suffixes())


def test_an_installed_source_that_does_not_import_says_so(installed):
    installed(spam="no_such_module:Spam")
    with pytest.raises(SourceError, match=r"no_such_module:Spam.*cannot be imported"):
        open_image("a.spam")


def test_a_package_file_opens_by_its_url():
    image = open_image("package://skimage/data/coins.png")
    assert image.info.shape == (303, 384)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("package://skimage/data/gone.png", "package 'skimage' has no 'data/gone.png'"),
        ("package://nowhere/a.png", "no Python package 'nowhere' is installed"),
        ("package://skimage", "not of the form"),
        ("package://skimage/../secret.png", "not of the form"),
    ],
)
def test_a_package_url_that_names_nothing_says_why(url, says):
    with pytest.raises(SourceError) as error:
        open_image(url)
    assert str(error.value).startswith(url)
    assert says in str(error.value)


def test_a_file_url_is_a_path(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 5)))
    assert open_image(f"file://{tmp_path}/a.npy").info.shape == (4, 5)


def test_nothing_of_a_format_is_imported_before_it_is_needed():
    code = (
        "import sys, chunkmeans.sources as s; s.suffixes(); "
        "print({'PIL', 'zarr', 'tifffile', 'imagecodecs', 'dask'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "zarr"])
def test_a_url_where_nothing_is_says_so(suffix):
    url = f"memory://nowhere/gone.{suffix}"
    with pytest.raises(SourceError) as error:
        _ = open_image(url).info
    there = "no zarr array or group is at" if suffix == "zarr" else "there is no such file"
    assert str(error.value).startswith(f"{url}: cannot be opened: {there}")
