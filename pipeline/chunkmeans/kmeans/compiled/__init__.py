"""The compiled loops over samples."""
