"""Images that share means: collections, groups, and the means of an earlier run."""
