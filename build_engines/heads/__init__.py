"""Heads that turn a network into one of another task."""
