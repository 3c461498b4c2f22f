"""What can be built: one YAML file an entry, and what its fields mean."""
