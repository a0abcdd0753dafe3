"""What an image is before it is decoded, and boxes of its pixels."""
