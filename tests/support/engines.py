"""Engines as a test asks for them: by a section of the config, or by a kind and its options."""

from chunkmeans import engines
from chunkmeans.config import Cluster


def open_engine(cluster, options=None, **how):
    if isinstance(cluster, str):
        cluster = Cluster(kind=cluster, options=dict(options or {}))
    return engines.open_engine(cluster, **how)
