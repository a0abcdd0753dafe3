"""What a run leaves behind: stores, catalogue, record."""
