"""Steps that make a model cheaper without changing what it computes."""
