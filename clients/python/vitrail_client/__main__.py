"""``vitrail`` and ``python -m vitrail_client``."""

import sys


def main() -> None:
    """Console entry point."""
    try:
        from vitrail_client.command_line import app  # noqa: PLC0415  its libraries are an extra
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("vitrail_client"):
            raise
        sys.exit(f"vitrail: the command line needs {error.name}: pip install 'vitrail-client[cli]'")
    app()


if __name__ == "__main__":
    main()
