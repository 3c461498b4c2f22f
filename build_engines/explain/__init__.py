"""Where a classifier looks: its heat maps, as two more outputs of its graph."""
