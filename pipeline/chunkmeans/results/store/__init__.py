"""Where results lie: a folder or an object store, its log and its lease."""
