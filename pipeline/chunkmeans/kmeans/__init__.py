"""Exact k-means on arrays: no files, no Dask.

Where to look. `lloyd` is the algorithm: one iteration and its stopping rule, after Gonzalez and
Woods. `fit` makes a model of collected samples: initial means (`seeding`), restarts, iterations,
the best of them. `metric` says how far samples are apart, `partial_sums` holds exact sums by
nearest mean, `tree` has a table in memory as boxes of samples. `counting/` collapses pixels to
distinct vectors with counts, `exact/` has sums that do not round, `compiled/` the loops below all.
"""
