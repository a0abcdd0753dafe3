"""What all formats share once their bytes are decoded."""
