"""Sums that do not round."""
