"""Exact k-means segmentation of very large images and whole image databases."""
