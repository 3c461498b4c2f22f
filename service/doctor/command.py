"""The command: the flags and variables of the service, and two flags of its own."""

import argparse
import logging
import sys
from collections.abc import Sequence

import orjson

from service.doctor import start
from service.doctor.examination import Told, examine, worst
from service.doctor.finding import Level
from service.doctor.groups import BEFORE, GROUPS, SECRETS, VALUES
from service.doctor.report import as_json, lines


def main(argv: Sequence[str]) -> int:
    """Examine the deployment that these arguments and the environment describe, and tell.

    Returns:
        The exit status: 2 where there are problems, 1 where there are warnings and ``--strict``, else 0.
    """
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument("--json", action="store_true")
    own.add_argument("--strict", action="store_true")
    options, arguments = own.parse_known_args(argv)
    # Without a handler, warnings of the parts that are asked would stand between the lines.
    logging.getLogger("vitrail").addHandler(logging.NullHandler())
    told = _told(arguments)
    if options.json:
        sys.stdout.buffer.write(orjson.dumps(as_json(told), option=orjson.OPT_INDENT_2) + b"\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in lines(told)))
    sys.stdout.flush()
    return _status(worst(told), strict=options.strict)


def _told(arguments: list[str]) -> list[Told]:
    settings, values = start.read(arguments)
    told = [Told(BEFORE, VALUES, finding) for finding in values]
    told += [Told(BEFORE, SECRETS, finding) for finding in start.secrets(arguments)]
    # Nothing is known of a service whose settings cannot be read.
    return told if settings is None else [*told, *examine(settings, GROUPS)]


def _status(level: Level, *, strict: bool) -> int:
    if level is Level.PROBLEM:
        return 2
    return int(strict and level is Level.WARNING)
