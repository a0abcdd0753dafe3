"""Sums that do not round, and totals made of them."""
