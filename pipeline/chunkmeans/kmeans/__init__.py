"""Exact k-means on arrays: no files, no Dask.

Follow the data: pixels are collected (`collect`: a `Table` or `Distinct` vectors with counts),
initial means are drawn (`seeding`), the iteration runs on whatever answers with exact sums
(`lloyd`), and of several starts the best becomes a `Model` (`fit`). `exact` holds the sums that
do not round, `kernels` the compiled loops.
"""
