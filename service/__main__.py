"""``vitrail-serve``: the service itself, or the command that the first argument names.

Each is imported where it is wanted: the doctor must run where the service cannot, e.g. without an engine.
"""

import sys


def main() -> None:
    """Console entry point."""
    match sys.argv[1:2]:
        case ["doctor"]:
            from service.doctor.command import main as doctor  # noqa: PLC0415

            sys.exit(doctor(sys.argv[2:]))
        case ["keys"]:
            from service.security.keys_command import main as keys  # noqa: PLC0415

            sys.exit(keys(sys.argv[2:]))
        case _:
            from service.serving import main as serve  # noqa: PLC0415

            serve()


if __name__ == "__main__":
    main()
