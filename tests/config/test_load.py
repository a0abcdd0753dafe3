"""From a file and options to a config, with errors that name the place."""

import re
import shlex

import pytest
from chunkmeans.config import load_config

from tests.config.examples import LEAST, message

# -- errors name the place --------------------------------------------------------------------


def test_an_unknown_key_names_its_place_and_the_nearest_valid_one(write):
    text = LEAST.replace("  k: 4", "  k: 4\n  treshold: 0.1")
    assert message(load_config, write(text)) == (
        "c.yaml:5:3: kmeans.treshold: there is no such key; did you mean kmeans.threshold?"
    )


def test_a_key_of_another_section_is_named_there(write):
    assert "c.yaml:7:1: seed: there is no such key here; did you mean kmeans.seed?" in message(
        load_config, write(LEAST + "seed: 3\n")
    )


def test_an_unknown_key_like_no_other_lists_the_valid_ones(write):
    assert message(load_config, write(LEAST + "cluster: {gpu: 1}\n")) == (
        "c.yaml:7:11: cluster.gpu: there is no such key; known here: kind, options, scale, adapt, "
        "wait, dask_config, security, insecure"
    )


def test_all_errors_are_listed_in_the_order_of_the_file(write):
    text = (
        "results:\n  path: out\n  pyramid: none!\n"
        "kmeans:\n  k: 0\n  threshold: -1\n"
        "images: {path: a.tif, series: 1.5}\n"
    )
    assert message(load_config, write(text)).splitlines() == [
        "c.yaml:3:3: results.pyramid: must be mode, nearest or none, found 'none!'; "
        "did you mean none?",
        "c.yaml:5:3: kmeans.k: must be at least 1, found 0",
        "c.yaml:6:3: kmeans.threshold: must be at least 0, found -1",
        "c.yaml:7:23: images.series: must be a whole number, found 1.5",
    ]


def test_a_missing_key_points_to_where_it_belongs(write):
    text = "images:\n  level: 0\nkmeans: {k: 2}\n"
    assert message(load_config, write(text)).splitlines() == [
        "c.yaml:1:1: images.path: is missing; it has no default",
        "c.yaml:1:1: results.path: is missing; it has no default",
    ]


def test_an_item_of_a_list_is_named_with_its_own_column(write):
    text = LEAST.replace("scans/", "scans/\n  region: [0:4, 4:2]")
    assert message(load_config, write(text)) == (
        "c.yaml:3:17: images.region.1: must start before it stops, found 4:2, which is empty"
    )


# -- overrides --------------------------------------------------------------------------------


def test_overrides_are_yaml_and_the_last_one_wins(write):
    config = load_config(
        write(LEAST),
        ["kmeans.k=8", "kmeans.k=9", "images.path=[a.tif, b.tif]", "features={scale: range}"],
    )
    assert config.kmeans.k == 9
    assert config.images.path == ("a.tif", "b.tif")
    assert config.features.scale == "range"


def test_an_empty_override_is_null(write):
    text = LEAST.replace("scans/", "scans/\n  mask: masks/")
    assert load_config(write(text), ["images.mask="]).images.mask is None


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("kmeans.k", "--set kmeans.k: must be KEY=VALUE, such as --set kmeans.k=8"),
        ("=8", "--set: must be KEY=VALUE"),
        ("kmeans..k=8", "--set kmeans..k: must be KEY=VALUE"),
        ("kmeans.k=0", "--set kmeans.k=0: kmeans.k: must be at least 1, found 0"),
        ("kmeans={k: 0}", "--set kmeans=...: kmeans.k: must be at least 1, found 0"),
        (
            "kmeans.kk=8",
            "--set kmeans.kk=...: kmeans.kk: there is no such key; did you mean kmeans.k",
        ),
        ("kmeans.k.x=8", "--set kmeans.k.x=...: kmeans.k.x: kmeans.k is 4 and has no keys"),
        ("foo.bar=1", "--set foo.bar=...: foo: there is no such key; known here: images, features"),
        ("foo=1", "--set foo=...: foo: there is no such key"),
        ("a.b.c=1", "--set a.b.c=...: a: there is no such key"),
        ("kmeans.k=[8", "--set kmeans.k=[8: is not valid YAML; if the value is text"),
        ("images.path=!!set a", "--set images.path=!!set a: has a tag (!!...) that does not fit"),
        ("images.path=!!set {a}", "--set images.path=!!set {a}: has the tag CommentedSet"),
        ("images.path=!!python/name:os.system x", "--set images.path=!!python/name:os.system x:"),
        ("kmeans={k: 1, k: 2}", "--set kmeans=...: k: this key is given twice"),
        ("images.mask={stem}", "--set images.mask={stem}: images.mask: must be a path or URL"),
    ],
)
def test_a_bad_override_is_named(write, override, reason):
    assert message(load_config, write(LEAST), [override]).startswith(reason)


@pytest.mark.parametrize(
    "value", ["*.tif", "{stem}.png", "{parent}/masks/{stem}.png", "@home", "'a", 'a "b": c: d']
)
def test_text_that_is_no_yaml_gets_the_quotes_that_make_it_one(write, value):
    text = message(load_config, write(LEAST), [f"images.mask={value}"])
    assert text.startswith(f"--set images.mask={value}: is not valid YAML; if the value is text")
    assert not any(jargon in text for jargon in ("<", "token", "scalar", "stream"))
    _, _, command = text.partition("those of the shell: ")
    option, assignment, *_ = shlex.split(command.partition("; if it is a list")[0])
    assert option == "--set"
    assert load_config(write(LEAST), [assignment]).images.mask == value


def test_a_long_value_that_is_no_yaml_is_not_repeated(write):
    text = message(load_config, write(LEAST), [f"images.mask={{stem}}{'x' * 100}"])
    assert text.startswith("--set images.mask=...: is not valid YAML")
    assert "--set 'images.mask=\"...\"'" in text
    assert "xxx" not in text


@pytest.mark.parametrize(
    "override",
    [
        "images={path: in, storage_options: {secret: hunter2hunter2}, bogus: 1}",
        "images={path: in, storage_options: {secret: hunter2hunter2",
        "images={path: in, storage_options: {secret: !!int hunter2hunter2}}",
        "images=[{secret: hunter2hunter2}]",
        "images: {secret: hunter2hunter2}",
        "images: {secret: 'hunter2hunter2='}",
        "images.path=[{secret: hunter2hunter2}]",
        "images.mask={secret: hunter2hunter2}",
        "images.storage_option={secret: hunter2hunter2}",
        "images.storage_options=hunter2hunter2",
        "images.storage_options.secret=[hunter2hunter2",
        "images.secret=hunter2hunter2",
        "results={path: out, storage_options: {secret: hunter2hunter2}, bogus: 1}",
        "results={storage_options: {secret: hunter2hunter2}, path: out, pyramid: 7}",
        "cluster={kind: ssh, options: {password: hunter2hunter2}, scale: 0}",
        "cluster={kind: ssh, option: {password: hunter2hunter2}}",
        "cluster.options=hunter2hunter2",
        "cluster.dask_config={x: hunter2hunter2",
    ],
)
def test_an_error_never_repeats_what_may_hold_a_secret(write, override):
    text = message(load_config, write(LEAST), [override])
    assert text.startswith("--set")
    assert "hunter2" not in text


def test_nor_does_one_of_a_later_override(write):
    overrides = ["images.storage_options=hunter2hunter2", "images.storage_options.secret=1"]
    assert "hunter2" not in message(load_config, write(LEAST), overrides)


def test_an_override_does_not_hide_an_error_of_the_file(write):
    text = message(load_config, write(LEAST.replace("k: 4", "k: 0")), ["kmeans.seed=-1"])
    assert set(text.splitlines()) == {
        "c.yaml:4:3: kmeans.k: must be at least 1, found 0",
        "--set kmeans.seed=-1: kmeans.seed: must be at least 0, found -1",
    }


# -- the cluster ------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_cluster_may_be_a_file_with_or_without_the_key(write, wrapped):
    body = "kind: local\noptions:\n  n_workers: 2\n"
    if wrapped:
        body = "cluster:\n" + "".join(f"  {line}\n" for line in body.splitlines())
    write(body, "site.yaml")
    config = load_config(write(LEAST + "cluster: site.yaml\n"))
    assert config.cluster.kind == "local"
    assert config.cluster.options == {"n_workers": 2}


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:8786", "tls://head:8786", "head:8786"])
def test_a_cluster_may_be_an_address(write, address):
    config = load_config(write(LEAST), cluster=address)
    assert config.cluster.kind == "address"
    assert config.cluster.options == {"address": address}


def test_a_json_file_is_that_of_a_scheduler(write):
    config = load_config(write(LEAST), cluster="scratch/scheduler.json")
    assert config.cluster.kind == "scheduler_file"
    assert config.cluster.options == {"scheduler_file": "scratch/scheduler.json"}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("site.yaml", "site.yaml"),
        ("clusters/site.yaml", "site.yaml"),
        ("clusters/site.yaml", "site"),
        ("clusters/site.yaml", "clusters/site.yaml"),
    ],
)
def test_a_cluster_is_found_beside_the_config(write, tmp_path, monkeypatch, file, text):
    (tmp_path / "clusters").mkdir()
    write("kind: local\noptions: {n_workers: 2}\n", file)
    config = write(LEAST)
    monkeypatch.chdir("/")
    assert load_config(tmp_path / config, cluster=text).cluster.options == {"n_workers": 2}


@pytest.mark.parametrize("text", ["site", "site.yaml", "configs/clusters/site.yaml"])
def test_a_cluster_is_found_among_the_presets_of_the_current_folder(write, tmp_path, text):
    (tmp_path / "configs/clusters").mkdir(parents=True)
    write("kind: local\noptions: {n_workers: 2}\n", "configs/clusters/site.yaml")
    assert load_config(write(LEAST), cluster=text).cluster.options == {"n_workers": 2}


def test_a_preset_of_its_name_stands_for_a_kind(write, tmp_path):
    assert load_config(write(LEAST), cluster="slurm").cluster.options == {}
    (tmp_path / "clusters").mkdir()
    write("kind: slurm\noptions: {cores: 2}\n", "clusters/slurm.yaml")
    assert load_config(write(LEAST), cluster="slurm").cluster.options == {"cores": 2}


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ("scale: 0", "cluster.scale: must be workers, a whole number from 1, or such as"),
        ("scale: many", "cluster.scale: must be workers"),
        ("{scale: 2, adapt: {maximum: 3}}", "cluster.adapt: clashes with cluster.scale"),
        ("wait: {timeout: 0}", "cluster.wait.timeout: Input should be greater than 0"),
        ("wait: {worker: 1}", "cluster.wait.worker: .*did you mean cluster.wait.workers?"),
        ("security: on", "cluster.security: must be temporary, or {ca: "),
        ("security: {ca: a.pem}", "cluster.security: must be temporary, .* found the keys ca"),
        ("security: {ca: a, cert: 5, key: c}", "cluster.security.cert: must be a path or URL"),
        ("insecure: maybe", "cluster.insecure: must be true or false"),
    ],
)
def test_a_section_that_makes_no_sense_is_refused(write, section, reason):
    section = section if section.startswith("{") else f"{{{section}}}"
    assert re.search(reason, message(load_config, write(f"{LEAST}cluster: {section}\n")))


def test_the_command_line_s_cluster_replaces_the_file_s_and_overrides_come_after(write):
    text = LEAST + "cluster: {kind: local, options: {n_workers: 2}}\n"
    config = load_config(write(text), ["cluster.options.threads=3"], cluster="serial")
    assert config.cluster.kind == "serial"
    assert config.cluster.options == {"threads": 3}


def test_errors_in_a_cluster_file_are_placed_in_it(write):
    write("kind: local\noption: {}\n", "site.yaml")
    assert message(load_config, write(LEAST), cluster="site.yaml") == (
        "site.yaml:2:1: cluster.option: there is no such key; did you mean cluster.options?"
    )


@pytest.mark.parametrize(
    ("cluster", "reason"),
    [
        ("gone.yaml", "--cluster gone.yaml: cluster: gone.yaml: there is no such file"),
        ("a b", "--cluster a b: cluster: must be a YAML file, an address"),
    ],
)
def test_a_cluster_that_names_nothing_is_an_error(write, cluster, reason):
    assert message(load_config, write(LEAST), cluster=cluster).startswith(reason)
