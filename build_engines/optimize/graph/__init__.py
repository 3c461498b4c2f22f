"""Optimisations after export, on the ONNX graph."""
