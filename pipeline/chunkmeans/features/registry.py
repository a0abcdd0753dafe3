"""Which feature has which name.

A feature is one line of `FEATURES`. Another package adds one by an entry point of the group
``chunkmeans.features``, whose name is the feature's and whose value is its class. Nothing of a
feature is imported before it is asked for.
"""

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from chunkmeans.errors import ConfigError
from chunkmeans.features.base import Feature, FeatureChain

_GROUP = "chunkmeans.features"
FEATURES = {
    "scale": "chunkmeans.features.scale:ChannelScale",
}
_OWN_KEYS = ("scale",)
"""Features that have a key of their own in the config, with their parameters."""


def make_features(names: Iterable[str]) -> FeatureChain:
    """Return the chain of features of these names, each with its default parameters.

    Raises
    ------
    ConfigError
        If there is no such feature, naming those that there are.
    """
    own = [EntryPoint(name, place, _GROUP) for name, place in FEATURES.items()]
    points = {point.name: point for point in (*own, *entry_points(group=_GROUP))}
    known = sorted(points.keys() - {*_OWN_KEYS})
    steps: list[Feature] = []
    for name in names:
        if name in _OWN_KEYS:
            raise ConfigError(f"features.use: {name!r} has a key of its own, features.{name}")
        if name not in known:
            there = f"known here: {', '.join(known)}" if known else "none is installed"
            raise ConfigError(f"features.use: there is no feature {name!r}; {there}")
        steps.append(points[name].load()())
    return FeatureChain(tuple(steps))
