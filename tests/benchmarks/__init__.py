"""The benchmark: chunkmeans, its peers and a floor on the same file, as whole processes.

``python -m tests.benchmarks --help``; the page is ``docs/benchmarks.md``.
"""
