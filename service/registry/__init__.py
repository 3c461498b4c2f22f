"""Which versions are there, which are ready, and which one a caller means."""
