"""One page that compares versions: accuracy against latency against size."""
