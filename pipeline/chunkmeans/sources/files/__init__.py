"""Files and URLs, byte ranges, members of zip archives, hashes of content."""
