"""From decoded pixels to samples: features, their registry, and which pixels count."""
