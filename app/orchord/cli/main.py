"""The ``orchord`` command itself: which sub-commands there are, and how every error becomes words and an exit code.

No sub-command is imported before it is called, so that ``orchord --help`` is quick.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

from orchord.cli.failures import EXIT_BAD_INPUT, exit_code_of, say_error
from orchord.errors import OrchordError

_COMMANDS = {
    "dev": ("orchord.cli.dev:dev", "Run everything on this machine, and reload code as it changes."),
    "api": ("orchord.cli.servers:api", "Serve the REST API."),
    "worker": ("orchord.cli.servers:worker", "Carry out the steps of one code location."),
    "launcher": ("orchord.cli.servers:launcher", "Start and watch containers of steps and runs."),
    "daemon": ("orchord.cli.servers:daemon", "Watch over runs: send again what was lost."),
    "job": ("orchord.cli.jobs:job", "List, print, launch and execute jobs."),
    "asset": ("orchord.cli.assets:asset", "List and materialize assets."),
    "run": ("orchord.cli.runs:run", "List, show, wait for, cancel and delete runs; read their logs."),
    "step": ("orchord.cli.step:step", "Execute one step of a launched run, as containers do."),
    "schedule": ("orchord.cli.schedules:schedule", "List schedules, turn them on and off, and read their ticks."),
    "sensor": ("orchord.cli.sensors:sensor", "List sensors, turn them on and off, push to them, and read their ticks."),
    "definitions": ("orchord.cli.definitions:definitions", "Check that a code location loads."),
    "doctor": ("orchord.cli.doctor:doctor", "List what is wrong in the instance, and mend it."),
    "instance": ("orchord.cli.instance:instance", "Show the instance; bring its database up to date."),
}


class LazyGroup(click.Group):
    """A group whose commands are named here and imported when called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="orchord", prog_name="orchord")
def cli() -> None:
    """Orchord: data work described with Dagster's names, carried out by Celery.

    Each command finds its instance by ORCHORD_HOME (default ~/.orchord). Exit codes: 0 all went well; 1 a run
    failed, something was not found, or a service does not answer; 2 the command or its input is wrong.
    """


def run(arguments: Sequence[str]) -> int:
    """Run the command with these arguments and return its exit code. It never raises for bad input."""
    try:
        code = cli.main(args=list(arguments), prog_name="orchord", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return EXIT_BAD_INPUT
    except click.Abort:
        return 130
    except OrchordError as error:
        say_error(error)
        return exit_code_of(error)
    return code if isinstance(code, int) else 0


def main() -> None:
    """Run as the program ``orchord``."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
