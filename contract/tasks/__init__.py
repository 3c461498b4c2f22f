"""One module a task: what a caller may ask, what a card may set, and how output tensors become the typed answer."""
