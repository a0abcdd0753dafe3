"""The config: one YAML file, strict keys, errors as ``file:line:column``."""

from chunkmeans.config.load import config_schema, load_config, make_config
from chunkmeans.config.models import Cluster, Config

__all__ = ["Cluster", "Config", "config_schema", "load_config", "make_config"]
