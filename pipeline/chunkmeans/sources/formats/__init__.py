"""The readers of image files, a module or folder per family."""
