"""What can be said before any group is asked: whether the settings can be read, and what the arguments give away."""

from collections.abc import Iterator, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import CliApp, SettingsConfigDict, SettingsError

from service.doctor.finding import Finding, ok, problem, warning
from service.settings import Settings

_SECRETS = ("--admin-key",)


class _DoctorSettings(Settings):
    """Say what is wrong with a deployment, and what to change; nothing is changed.

    Give the flags and variables of the service, and in the same place: in its container, as its user. Beside them,
    --json prints one object for machines, and --strict ends with status 1 where there are warnings. Where there are
    problems the status is 2.
    """

    model_config = SettingsConfigDict(cli_prog_name="vitrail-serve doctor")


def read(arguments: Sequence[str]) -> tuple[Settings | None, list[Finding]]:
    """The settings, None where they cannot be read; and what was found."""
    try:
        settings = CliApp.run(_DoctorSettings, cli_args=list(arguments))
    except SettingsError as error:
        return None, [_wrong(str(error))]
    except ValidationError as error:
        return None, [_wrong(explain(problem)) for problem in error.errors(include_url=False)]
    return settings, [ok(f"all can be read; {len(settings.model_fields_set)} are set")]


def secrets(arguments: Sequence[str]) -> Iterator[Finding]:
    """Secrets among the arguments, which every user of the machine can list."""
    given = [flag for flag in _SECRETS if any(text.partition("=")[0] == flag for text in arguments)]
    for flag in given:
        variable = f"VITRAIL_{flag.strip('-').replace('-', '_').upper()}"
        yield warning(f"{flag} stands on the command line, which every user of the machine can read", f"set {variable}")
    if not given:
        yield ok("no secret stands on the command line")


def explain(error: ErrorDetails) -> str:
    """A wrong setting, by its flag and its variable."""
    if not error["loc"]:
        # It is about several settings, and names them.
        return error["msg"].removeprefix("Value error, ")
    field, *within = (str(part) for part in error["loc"])
    where = f" ({'.'.join(within)})" if within else ""
    return f"--{field.replace('_', '-')} or VITRAIL_{field.upper()}{where}: {error['msg']}"


def _wrong(words: str) -> Finding:
    return problem(words, "mend it: the service does not start; `vitrail-serve --help` lists what each setting may be")
