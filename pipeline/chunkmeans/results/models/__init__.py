"""Means, fits and counted samples, saved."""
