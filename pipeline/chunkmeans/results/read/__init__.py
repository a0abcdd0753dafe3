"""Results as a user reads them: runs, images, catalogue, record."""
