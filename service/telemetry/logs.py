"""Where the log goes, in which form, and who may write how much of it."""

import logging
import sys
from typing import Literal

from rich.logging import RichHandler

from service.telemetry.json_log import JsonFormatter

LogFormat = Literal["text", "json"]


def configure(level: str, form: LogFormat) -> None:
    """Send the log of the whole process to the standard error stream.

    Args:
        level: the least that is logged: ``debug``, ``info``, ``warning`` or ``error``.
        form: lines for people, coloured on a terminal; or a JSON object a line.
    """
    logging.basicConfig(level=level.upper(), handlers=[_handler(form)], format="%(message)s")
    # Python's own warnings would stand between the lines of JSON.
    logging.captureWarnings(form == "json")
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, logging.getLogger().level))
    # It warns of every broken form; the caller is told of that, and the metrics count it.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    # It remarks on broken images; the same holds of them.
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    # They name whole addresses, with the passwords and signatures of webhooks and of videos by URL.
    for library in ("httpx", "httpcore"):
        logging.getLogger(library).setLevel(logging.WARNING)


def _handler(form: LogFormat) -> logging.Handler:
    if form == "text" and sys.stderr.isatty():
        return RichHandler(show_path=False, markup=False)
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonFormatter() if form == "json" else logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    )
    return handler
