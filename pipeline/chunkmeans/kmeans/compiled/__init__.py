"""Compiled loops over samples; each releases the GIL, none rounds a sum.

Many functions here have more than six parameters: arrays are one argument each, as numba types
every argument by itself, and a value that held them would be taken apart at each call of a step.
What loops only use for themselves is one value, a `blocks.Workspace`. `space` is always that.
"""
