"""Distinct pixel vectors and their counts: tables, sketches, look-up."""
