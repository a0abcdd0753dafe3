"""zarr v2 and v3, and OME-Zarr."""
