"""Rewrites of a network before its export, each proven against the network as it came."""
