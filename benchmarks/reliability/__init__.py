"""What becomes of requests on a bad day: overload, a dying Triton, a bad network; see docs/reliability.md."""
