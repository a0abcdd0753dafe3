"""Pixels collapsed to distinct vectors and their counts: tables, sketches, look-up."""
