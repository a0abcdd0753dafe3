"""From decoded pixels to samples."""
