"""The config: one YAML file, strict keys, errors as ``file:line:column``."""

from chunkmeans.config.load import config_schema, load_config, make_config
from chunkmeans.config.models import (
    Certificates,
    Cluster,
    Config,
    Wait,
)

__all__ = [
    "Certificates",
    "Cluster",
    "Config",
    "Wait",
    "config_schema",
    "load_config",
    "make_config",
]
