"""What the builder and the service must agree on: cards, tensors, pixels, tasks, and the repository's layout."""
