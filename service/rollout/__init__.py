"""Two versions side by side: how far their answers differ, and what follows from that."""
