"""Exact k-means segmentation of very large images and whole image databases.

>>> from chunkmeans import segment
>>> segment([[1, 1, 9], [1, 9, 9]], k=2).labels.tolist()
[[1, 1, 2], [1, 2, 2]]
"""

import lazy_loader

# Of `__init__.pyi`, when first asked for: the command line's --help waits for no Numba and zarr.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
