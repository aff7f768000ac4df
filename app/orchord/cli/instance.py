"""``orchord instance``: what the instance is made of, and bringing its database up to date.

The instance file and its keys are read in orchord.instance; the tables are in orchord.storage.
"""

from __future__ import annotations

from typing import Any

import click
from rich.text import Text

from orchord.cli.failures import EXIT_FAILED, EXIT_OK
from orchord.cli.opening import opened_instance
from orchord.cli.output import console, json_option, print_json
from orchord.errors import OrchordError


@click.group()
def instance() -> None:
    """Show the instance; bring its database up to date."""


@instance.command("info")
@json_option
def info(as_json: bool) -> int:
    """Show where the instance lives, what it is made of, and whether its services answer."""
    with opened_instance(prepared=False) as opened:
        facts: dict[str, Any] = {
            "home": str(opened.home),
            "storage": opened.storage.address,
            "run_launcher": type(opened.run_launcher).__qualname__,
            "run_coordinator": type(opened.run_coordinator).__qualname__,
            "compute_logs": type(opened.compute_log_manager).__qualname__,
            "storage_directory": str(opened.storage_directory()),
        }
        problems: dict[str, str] = {}
        for name, check in (("database", opened.storage.check_schema), ("broker", opened.run_launcher.check)):
            try:
                check()
            except OrchordError as error:
                problems[name] = str(error)
        if "database" not in problems:
            facts["runs"] = {str(status): count for status, count in opened.storage.runs.count_by_status().items()}
    if as_json:
        print_json({**facts, "problems": problems})
    else:
        screen = console()
        for name, value in facts.items():
            shown = ", ".join(f"{count} {key}" for key, count in value.items()) if isinstance(value, dict) else value
            screen.print(Text.assemble((f"{name.replace('_', ' '):<18}", "bold"), str(shown or "none")))
        for name, text in problems.items():
            screen.print(Text.assemble((f"{name:<18}", "bold red"), text))
    return EXIT_FAILED if problems else EXIT_OK


@instance.command("migrate")
@json_option
def migrate(as_json: bool) -> None:
    """Create or update the tables of the instance's database. Doing it twice does no harm."""
    with opened_instance(prepared=False) as opened:
        opened.storage.migrate()
        address = opened.storage.address
    if as_json:
        print_json({"storage": address, "migrated": True})
    else:
        click.echo(f"{address} is up to date.")
