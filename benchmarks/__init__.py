"""What the service costs, measured beside the least that the same work can cost."""
