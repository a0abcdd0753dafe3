"""Label stores: layout, chunks, pyramid, metadata, completion marks."""
