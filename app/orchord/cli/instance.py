"""``orchord instance``: what the instance is made of, and bringing its database up to date.

The instance file and its keys are read in orchord.instance; the tables are in orchord.storage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from rich.text import Text

from orchord.cli.concurrency import concurrency
from orchord.cli.failures import EXIT_FAILED, EXIT_OK
from orchord.cli.opening import opened_instance
from orchord.cli.output import console, json_option, print_json, time_text
from orchord.errors import OrchordError
from orchord.instance.daemons import KnownDaemon, known_daemons


@click.group()
def instance() -> None:
    """Show the instance; bring its database up to date; set limits of pools."""


@instance.command("info")
@json_option
def info(as_json: bool) -> int:
    """Show where the instance lives, what it is made of, and whether its services answer."""
    with opened_instance(prepared=False) as opened:
        config = opened.config
        facts: dict[str, Any] = {
            "home": str(opened.home),
            "storage": opened.storage.address,
            "run_launcher": config.run_launcher.class_name,
            "run_coordinator": config.run_coordinator.class_name,
            "compute_logs": config.compute_logs.class_name,
            "storage_directory": str(opened.storage_directory()),
            "without_effect": list(config.without_effect),
        }
        problems: dict[str, str] = {}
        checks: dict[str, Callable[[], object]] = {
            "database": opened.storage.check_schema,
            "run_launcher": lambda: opened.run_launcher,
            "run_coordinator": lambda: opened.run_coordinator,
            "compute_logs": lambda: opened.compute_log_manager,
            "broker": lambda: opened.run_launcher.check(),
        }
        for name, check in checks.items():
            if name == "broker" and "run_launcher" in problems:
                continue
            try:
                check()
            except OrchordError as error:
                problems[name] = str(error)
        if "database" not in problems:
            facts["runs"] = {str(status): count for status, count in opened.storage.runs.count_by_status().items()}
            facts["daemons"] = [_daemon_record(known) for known in known_daemons(opened.storage)]
    if as_json:
        print_json({**facts, "problems": problems})
    else:
        screen = console()
        for notice in facts.pop("without_effect"):
            screen.print(Text.assemble(("without effect    ", "bold yellow"), notice))
        for name, value in facts.items():
            for line in _shown(value):
                screen.print(Text.assemble((f"{name.replace('_', ' '):<18}", "bold"), line))
        for name, text in problems.items():
            screen.print(Text.assemble((f"{name.replace('_', ' '):<18}", "bold red"), text))
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


instance.add_command(concurrency)


def _shown(value: Any) -> list[str | Text]:
    if isinstance(value, dict):
        return [", ".join(f"{count} {key}" for key, count in value.items()) or "none"]
    if isinstance(value, list):
        lines = [line for daemon in value for line in _daemon_lines(daemon)]
        return lines or ["none; start one with `orchord daemon`"]
    return [str(value or "none")]


def _daemon_lines(daemon: dict[str, Any]) -> list[str | Text]:
    role = "silent" if not daemon["is_alive"] else "leads" if daemon["is_leader"] else "stands by"
    seen = time_text(daemon["last_seen_at"])
    errors = [Text(f"  {loop}: {text}", style="red") for loop, text in daemon["errors"].items()]
    return [f"{daemon['daemon_id']} ({role}, last seen {seen})", *errors]


def _daemon_record(known: KnownDaemon) -> dict[str, Any]:
    return {
        "daemon_id": known.row.daemon_id,
        "hostname": known.row.hostname,
        "pid": known.row.pid,
        "last_seen_at": known.row.last_seen_at,
        "is_alive": known.is_alive,
        "is_leader": known.is_leader,
        "errors": dict(known.row.errors),
    }
