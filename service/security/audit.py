"""What was changed, by whom, and with what outcome: one line of JSON for each call, by the logger ``vitrail.audit``."""

import logging

import orjson

_log = logging.getLogger("vitrail.audit")
# Whatever else is left out of the log, this is not.
_log.setLevel(logging.INFO)

_SHOWN = 256


def note(*, who: str, peer: str | None, action: str, target: str, outcome: str, request_id: str) -> None:
    """Note a call that changes what is served, or that was to; no key and no body is ever part of it.

    Args:
        who: the caller's id, or what else is known of it.
        peer: the address that it came from.
        action: what was to be done.
        target: to which model, version, alias or task: the path of the call.
        outcome: ``done``, or the kind of error.
        request_id: under which the rest of the log, and the caller, speak of it.
    """
    fields = {
        "who": who,
        "address": peer or "",
        "what": action,
        "which": target[:_SHOWN],
        "outcome": outcome,
        "request_id": request_id,
    }
    line = orjson.dumps(fields).decode()
    _log.info("%s", line, extra={"fields": {"message": "an admin call", **fields}})
