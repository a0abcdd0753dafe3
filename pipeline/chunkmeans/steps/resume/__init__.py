"""What an earlier run left, and what a run leaves for the next."""
