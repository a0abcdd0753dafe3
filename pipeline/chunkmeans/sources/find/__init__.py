"""Which images a config names."""
