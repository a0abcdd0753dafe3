"""One check at a time, in the environment that is active: ``pip install -e '.[dev]'``, ``nox -l``.

``.ci/run`` calls the same sessions.
"""

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "imports", "tests", "doctests", "docs"]


@nox.session
def lint(session: nox.Session) -> None:
    """Check rules and format."""
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    session.run("mypy")


@nox.session
def imports(session: nox.Session) -> None:
    """Check the import contracts."""
    session.run("lint-imports")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests; more arguments after ``--``."""
    session.run("pytest", *session.posargs)


@nox.session
def full(session: nox.Session) -> None:
    """Run what the default leaves out: full products, benchmark bodies, more examples."""
    chosen = "(full or bench or hypothesis) and not slow and not cluster"
    session.run(
        "pytest", "--hypothesis-profile=ci", "--timeout=1800", "-m", chosen, *session.posargs
    )


@nox.session
def doctests(session: nox.Session) -> None:
    """Run the examples in docstrings."""
    session.run("pytest", "--doctest-modules", "pipeline/chunkmeans", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the pages, strictly and without network, into site/."""
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def reference(session: nox.Session) -> None:
    """Write the pages and the picture that are made from the code."""
    session.run("python", "docs/hooks.py")
    session.run("python", "docs/picture.py")


@nox.session
def notebooks(session: nox.Session) -> None:
    """Execute the notebooks; they look at results/quickstart."""
    quiet = ("-W", "ignore::DeprecationWarning")
    session.run("pytest", "--nbmake", "--nbmake-timeout=300", *quiet, "notebooks")


@nox.session
def bench(session: nox.Session) -> None:
    """Run a benchmark: ``nox -s bench -- --case rgb8 --megapixels 1``."""
    session.run("python", "-m", "tests.benchmarks", *session.posargs)
