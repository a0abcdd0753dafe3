"""From a config to jobs, chunks and the memory they need."""
