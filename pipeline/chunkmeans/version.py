"""The version of the installed package, from its metadata."""

from importlib import metadata

try:
    __version__ = metadata.version("chunkmeans")
except metadata.PackageNotFoundError:  # sources that were copied, and not installed
    __version__ = "(not installed)"
