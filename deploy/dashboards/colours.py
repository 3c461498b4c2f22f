"""The colours of what has a name: the same in every dashboard, and those of the service's own pages in the dark."""

STAGES = {
    "fetch": "#8b8998",
    "decode": "#2bb8cc",
    "preprocess": "#27b077",
    "queue": "#ec6076",
    "compute": "#6f90ff",
    "postprocess": "#a877ea",
    "encode": "#f0b558",
}
"""A request's stages, in the order in which they pass."""

GOOD, WARNING, BAD, QUIET = "#27b077", "#f0b558", "#ec6076", "#8b8998"

PERCENTILES = {"p50": "#2bb8cc", "p90": "#4da4e6", "p95": "#6f90ff", "p99": "#b58af0"}
OUTCOMES = {
    "compared": "#6f90ff",
    "processed": "#6f90ff",
    "carried": "#27b077",
    "skipped": "#8b8998",
    "dropped": "#ec6076",
    "taken": "#27b077",
    "failed": "#ec6076",
}
CODES = {
    "/^(2..|OK)$/": GOOD,
    "/^(429|RESOURCE_EXHAUSTED)$/": WARNING,
    "/^(5..|INTERNAL|UNAVAILABLE|UNKNOWN|DEADLINE_EXCEEDED)$/": BAD,
}
"""By regular expression, as Grafana writes them."""
