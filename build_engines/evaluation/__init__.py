"""How accurate a version is on a data set, measured through the preprocessing, the engine and the answers it serves."""
