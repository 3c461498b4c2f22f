"""How fast a version is on this machine, and which batch sizes to aim at."""
