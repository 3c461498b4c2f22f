"""``vitrail-serve keys``: make API keys, and list those that a file holds."""

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import yaml
from pydantic import ValidationError

from contract.validation import first_problem
from service.security.caller import Scope
from service.security.keys import KeyEntry, digest_of, new_key
from service.security.keys_file import UnusableKeys, content_of, parsed


class _Refused(Exception):
    """An argument makes no sense; the message says which, and what would."""


def main(arguments: Sequence[str]) -> int:
    """Carry out a command; its exit status: 2 where it makes no sense."""
    parser = argparse.ArgumentParser(
        "vitrail-serve keys", description="Make API keys, and list those that a file holds (see --keys-file)."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    new = commands.add_parser(
        "new",
        help="make a key",
        description="Make a key. The key itself goes to standard error and is shown this once; what the keys file "
        "needs goes to standard output: vitrail-serve keys new --id alice >> keys.yaml",
    )
    new.add_argument("--id", required=True, help="whose it is; several keys of one id are those of one caller")
    new.add_argument("--scopes", default=Scope.INFER, help=f"what it allows: {', '.join(Scope)}; commas between")
    new.add_argument("--rate", help="requests that it may begin, e.g. 50/second (or minute, hour, day)")
    new.add_argument("--concurrency", type=int, help="requests and streams under way at the same time")
    new.add_argument("--priority", choices=("high", "normal", "low"), default="normal", help="under overload")
    new.add_argument("--expires", help="its last day, in UTC, or a moment: 2027-12-31, 2027-12-31T12:00:00Z")
    new.add_argument("--note", default="", help="a word for whoever reads the file")
    listing = commands.add_parser("list", help="list the keys of a file", description="List the keys of a file.")
    listing.add_argument("file", type=Path, help="the keys file")
    given = parser.parse_args(arguments)
    try:
        return _new(given) if given.command == "new" else _list(given.file)
    except (_Refused, UnusableKeys, ValidationError, OSError) as error:
        why = first_problem(error) if isinstance(error, ValidationError) else error
        print(f"vitrail-serve keys: {why}", file=sys.stderr)  # noqa: T201 - for a person at a terminal
        return 2


def _new(given: argparse.Namespace) -> int:
    key = new_key()
    stated = {
        "id": given.id,
        "sha256": digest_of(key).hex(),
        "scopes": [scope.strip() for scope in given.scopes.split(",") if scope.strip()],
        "rate": given.rate,
        "concurrency": given.concurrency,
        "priority": given.priority,
        "expires": None if given.expires is None else _end(given.expires),
        "note": given.note,
    }
    end_s = KeyEntry.model_validate(stated).expires_s
    if end_s is not None and end_s <= time.time():
        raise _Refused(f"--expires {given.expires!r} has passed; name a day or a moment to come")
    defaults = {"rate": None, "concurrency": None, "priority": "normal", "expires": None, "note": ""}
    entry = {name: value for name, value in stated.items() if name not in defaults or value != defaults[name]}
    print(f"The key of {given.id}, shown this once:\n{key}", file=sys.stderr)  # noqa: T201 - its one showing
    sys.stdout.write(yaml.safe_dump([entry], sort_keys=False, allow_unicode=True))
    return 0


def _end(text: str) -> date:
    """A day, or a moment."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        forms = "2027-12-31, the end of that day in UTC, or 2027-12-31T12:00:00+01:00 (Z for UTC)"
        raise _Refused(f"--expires {text!r} is no date; write {forms}") from None


def _list(file: Path) -> int:
    now = time.time()
    for entry in parsed(content_of(file), file):
        over = entry.expires_s is not None and entry.expires_s <= now
        columns = (
            entry.id,
            entry.sha256[:8],
            ",".join(sorted(entry.scopes)),
            entry.rate or "-",
            str(entry.concurrency or "-"),
            entry.priority,
            "expired" if over else str(entry.expires or "-"),
            entry.note,
        )
        sys.stdout.write("\t".join(columns).rstrip() + "\n")
    return 0
