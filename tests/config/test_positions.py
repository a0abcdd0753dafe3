"""Hostile and broken files."""

from pathlib import Path

import pytest
from chunkmeans.config import load_config, positions
from chunkmeans.errors import ConfigError
from hypothesis import given
from hypothesis import strategies as st

import tests.support.strategies  # noqa: F401  sets the profile of hypothesis: no deadline
from tests.config.examples import LEAST, message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "c.yaml:1:1: is empty"),
        ("# nothing\n", "c.yaml:1:1: is empty"),
        ("- 1\n", "c.yaml:1:1: must hold keys such as images:"),
        ("a: [1\n", "c.yaml:2:1: is not valid YAML: expected ',' or ']'"),
        ("a:\n\tb: 1\n", "c.yaml:2:1: is not valid YAML: found character '\\t'"),
        ("path: *.tif\n", "c.yaml:1:7: is not valid YAML: a text that begins with * needs quotes"),
        ("a: 1\n---\nb: 2\n", "c.yaml:2:1: is not valid YAML: but found another document"),
        (LEAST + "kmeans: {k: 3}\n", "c.yaml:7:1: kmeans: this key is given twice"),
        (b"a: 1\nb: \xe9t\xe9\n", "c.yaml:2:4: is not UTF-8 text (byte 0xe9)"),
        (b"\0\1\2", "c.yaml:1:1: is not valid YAML"),
        ("[" * 1000, "c.yaml:1:1: is nested too deeply"),
        (f"k: {'9' * 5000}\n", "c.yaml:1:1: is not valid YAML: Exceeds the limit"),
        ("d: 2026-13-45\n", "c.yaml:1:1: is not valid YAML: month must be in 1..12"),
        ("a: !secret x\n", "c.yaml:1:1: a: has the tag !secret; a config holds plain values only"),
        ("a: !!set {b}\n", "c.yaml:1:1: a: has the tag CommentedSet"),
        ("a: !!set b\n", "c.yaml:1:1: has a tag (!!...) that does not fit its value"),
        ("a: !!binary aGk=\n", "c.yaml:1:1: a: has the tag"),
        (LEAST + "1: 2\n", "c.yaml:7:1: 1: keys must be text; put it in quotes"),
    ],
)
def test_a_file_that_is_no_config_is_an_error_with_its_place(write, text, reason):
    assert message(load_config, write(text)).startswith(reason)


def test_a_tag_that_would_run_code_runs_nothing(write, tmp_path):
    canary = tmp_path / "canary"
    text = f"a: !!python/object/apply:os.system ['touch {canary}']\n"
    assert "has the tag !!python/object/apply:os.system" in message(load_config, write(text))
    assert not canary.exists()


def test_aliases_that_would_fill_the_memory_are_refused(write, monkeypatch):
    monkeypatch.setattr(positions, "MOST_VALUES", 5_000)
    lines = ["a: &a [" + ", ".join(["1"] * 10) + "]"]
    for old, new in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{new}: &{new} [" + ", ".join([f"*{old}"] * 10) + "]")
    assert "holds more than 5,000 values" in message(load_config, write("\n".join(lines)))


def test_aliases_and_merged_keys_are_read_as_written_out(write):
    text = (
        "images: &common {path: a.tif, storage_options: {anon: true}}\n"
        "kmeans: {k: 2}\nresults:\n  <<: *common\n  path: out\n"
    )
    config = load_config(write(text))
    assert config.results.storage_options == {"anon": True}
    assert config.results.path == "out"


def test_a_file_that_is_not_there_cannot_be_read_or_is_a_folder_is_an_error_that_says_so(write):
    write("", "here.yaml")
    assert message(load_config, "gone.yaml") == "gone.yaml: there is no such file"
    assert message(load_config, ".") == ".: this is a folder; give the YAML file in it"
    assert "null byte" in message(load_config, "a\0b")


def test_an_image_given_as_config_is_refused_before_it_is_parsed(write):
    name = write("", "slide.tif")
    with Path(name).open("r+b") as file:
        file.truncate(2**30)
    assert "slide.tif: is larger than 16,777,216 bytes" in message(load_config, name)


@given(text=st.text(st.sampled_from("ab:-[]{}\n \"'*&!#|>%@`,?0~<."), max_size=40))
def test_any_text_is_a_config_or_a_config_error(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load_config(path)


def test_a_byte_order_mark_and_windows_lines_do_no_harm(write):
    text = b"\xef\xbb\xbf" + LEAST.replace("\n", "\r\n").encode()
    assert load_config(write(text)).kmeans.k == 4
