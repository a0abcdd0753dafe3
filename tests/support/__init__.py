"""What many tests share: ways to run, images to run on, and how results are judged."""
