"""What runs a compiled model, behind one seam."""
