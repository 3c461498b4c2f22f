"""Transports. Each only translates; the work is in `service.inference`."""
