"""The version of the installed package, from its metadata."""

from importlib import metadata

try:
    __version__ = metadata.version("chunkmeans")
except metadata.PackageNotFoundError:  # imported from a folder, without pip
    __version__ = "0+unknown"
