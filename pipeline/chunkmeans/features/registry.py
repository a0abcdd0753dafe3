"""Which feature has which name.

A feature is one line of `FEATURES`, or of `OWN_KEYS` if its parameters stand in the config, where
what plans a run makes it. Another package adds one by an entry point of the group
``chunkmeans.features``, whose name is the feature's and whose value is its class. Nothing of a
feature is imported before it is asked for.
"""

from collections.abc import Iterable

from chunkmeans.errors import ConfigError
from chunkmeans.features.base import Feature, FeatureChain
from chunkmeans.seam import Seam

OWN_KEYS = ("scale",)
"""Features that have a key of their own in the config, with their parameters."""
FEATURES = Seam[Feature]("feature", Feature, {}, ("chunkmeans.features",), "features.use")
"""Those that ``features.use`` names, of other packages included."""


def make_features(names: Iterable[str]) -> FeatureChain:
    """Return the chain of features of these names, each with its default parameters.

    Raises
    ------
    ConfigError
        If there is no such feature, it cannot be imported, or it is no `Feature`.
    """
    steps = []
    for name in names:
        if name in OWN_KEYS:
            raise ConfigError(f"features.use: {name!r} has a key of its own, features.{name}")
        steps.append(FEATURES.load(name)())
    return FeatureChain(tuple(steps))
