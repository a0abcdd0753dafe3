"""Where pixels come from: one module per family of formats."""
