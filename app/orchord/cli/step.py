"""``orchord step execute``: what runs inside a container, or by hand: one attempt at one step.

How it is done is orchord_workers.hosting, which is called by name; launching runs is jobs.py.
"""

from __future__ import annotations

import importlib
import logging

import click

from orchord.cli.targets import Targets, one_target, target_options
from orchord.settings import Settings

log_level_option = click.option(
    "--log-level",
    default="warning",
    show_default=True,
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    help="The least level that is logged.",
)


@click.group()
def step() -> None:
    """Execute one step of a launched run, as containers do."""


@step.command("execute")
@click.argument("run_id")
@click.argument("step_key")
@click.option("--attempt", type=click.IntRange(1), help="The number of the attempt (default: the next one).")
@target_options
@log_level_option
def execute(targets: Targets, run_id: str, step_key: str, attempt: int | None, log_level: str) -> int:
    """Execute one attempt at a step of a launched run in a process of its own.

    Exit code 0 when there is nothing more to do: its end is stored, whatever it is, or somebody else has it.
    """
    log_at(log_level)
    execute_step = getattr(importlib.import_module("orchord_workers.hosting.main"), "execute_step")  # noqa: B009 - by name
    return int(execute_step(Settings.from_environment(), one_target(targets), run_id, step_key, attempt))


def log_at(level: str) -> None:
    """Log from a level on to stderr, where containers' platforms look for it."""
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
