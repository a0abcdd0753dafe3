"""TIFF in its many forms."""
