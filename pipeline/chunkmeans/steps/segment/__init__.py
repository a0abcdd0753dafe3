"""The phases of a run: collect, iterate, label."""
