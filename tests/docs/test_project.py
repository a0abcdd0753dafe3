"""What surrounds the code agrees with itself: sessions, marks, the citation."""

import re
import tomllib

from ruamel.yaml import YAML

from tests.docs.pages import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SESSIONS = re.findall(r"^@nox\.session\ndef (\w+)\(", (ROOT / "noxfile.py").read_text(), re.M)


def test_ci_and_contributors_use_sessions_that_exist():
    run = (ROOT / ".ci/run").read_text()
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    (listed,) = re.findall(r"^for session in (.+); do$", run, re.MULTILINE)
    assert set(listed.split()) == set(SESSIONS) - {"tests", "bench", "reference"}
    assert set(re.findall(r"^nox -s (\w+)", contributing, re.MULTILINE)) == set(SESSIONS)


def test_the_workflow_runs_what_anyone_can_run():
    workflow = YAML(typ="safe").load(ROOT / ".github/workflows/ci.yml")
    steps = workflow["jobs"]["checks"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]


def test_no_failed_test_is_tried_a_second_time():
    assert "--last-failed" not in (ROOT / ".ci/run").read_text()


def test_the_citation_names_the_project_as_it_is():
    citation = YAML(typ="safe").load(ROOT / "CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    assert citation["title"] == PROJECT["name"]
    assert citation["license"] == PROJECT["license"]
    assert citation["version"] == PROJECT.get("version", citation["version"])
