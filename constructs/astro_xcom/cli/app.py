"""The command line itself: what all commands share, and how they fail."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from astro_xcom import __version__
from astro_xcom.errors import printable
from astro_xcom.terminal import run, tell

app = typer.Typer(
    name="astro-xcom",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

File = Annotated[Path, typer.Option("--file", "-f", help="The deployments to read.", envvar="DEPLOYMENTS")]
DEPLOYMENTS = Path("deployments.yaml")
COMMANDS = (
    "bundle", "check", "doctor", "evidence", "export", "graph", "imports", "init", "posture", "probe", "push", "synth",
    "take_over", "values",
)  # fmt: skip


def _show_version(wanted: bool) -> None:
    if wanted:
        tell(f"astro-xcom {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version, and end.", is_eager=True, callback=_show_version)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from. Stands anywhere.")] = False,
) -> None:
    """XCom backends for Astro Remote Execution Agents."""


def main() -> None:
    """Run the command.

    Errors go to stderr, all at once, and end with exit code 1. So do wrong options: 2 is for commands that mean
    something by it.
    """
    run(_command)


def _command() -> object:
    for name in COMMANDS:  # each makes its command, and needs this module
        import_module(f"astro_xcom.cli.{name}")
    try:
        return app(standalone_mode=False)
    except typer.TyperException as error:
        if isinstance(getattr(error, "message", None), str):
            error.message = printable(error.message)  # it repeats what was typed
        error.show()  # type: ignore[attr-defined]  # every one that is raised has it
        return 1
    except typer.Abort:
        raise KeyboardInterrupt from None
