"""What pages of other sites may send and read, where the operator names such sites; see Starlette's CORSMiddleware."""

from typing import Any

SHARED: dict[str, Any] = {
    "allow_methods": ("GET", "POST", "PUT", "DELETE"),
    "allow_headers": (
        "Authorization",
        "Idempotency-Key",
        "Inference-Header-Content-Length",
        "X-API-Key",
        "X-Request-Id",
        "X-Request-Timeout-Ms",
    ),
    "expose_headers": (
        "Inference-Header-Content-Length",
        "Location",
        "RateLimit",
        "RateLimit-Policy",
        "Retry-After",
        "Server-Timing",
        "X-Request-Id",
    ),
}
"""Keys come in headers, never in cookies: so no credentials are allowed, and no page can use those of another."""
