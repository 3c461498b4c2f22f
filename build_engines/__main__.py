"""The command line `vitrail-build`: one file of `build_engines.commands` for each command."""

import signal

import typer

from build_engines.commands import build, compare, compile, evaluate, import_model, list_entries, tune, write_catalogue  # noqa: A004  a command's name

app = typer.Typer(
    help="Compile vision models into certified versions of a model repository.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("list")(list_entries.command)
app.command("build")(build.command)
app.command("import")(import_model.command)
app.command("evaluate")(evaluate.command)
app.command("tune")(tune.command)
app.command("report")(compare.command)
app.command("compile")(compile.command)
app.command("catalogue")(write_catalogue.command)


def main() -> None:
    """Run the command line; being told to end (SIGTERM) is treated as Ctrl-C is, so that both clear up."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app()


if __name__ == "__main__":
    main()
