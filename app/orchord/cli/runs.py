"""``orchord run``: list, show, wait for, cancel and delete runs.

Reading what they said is in run_logs.py; launching them is in jobs.py.
"""

from __future__ import annotations

import importlib
from datetime import datetime
from typing import TYPE_CHECKING

import click
from rich.text import Text

from orchord.cli.failures import EXIT_FAILED, EXIT_OK
from orchord.cli.opening import opened_instance
from orchord.cli.output import (
    console,
    duration_text,
    json_option,
    print_json,
    print_table,
    status_text,
    time_text,
)
from orchord.cli.progress import wait_for_end
from orchord.cli.records import attempt_record, latest_attempts, run_record
from orchord.cli.run_logs import logs
from orchord.cli.step import log_at, log_level_option
from orchord.cli.targets import Targets, one_target, target_options
from orchord.runs import Attempt, Run, RunStatus
from orchord.settings import Settings
from orchord.storage.values import RunFilter

if TYPE_CHECKING:
    from orchord.instance import OrchordInstance


@click.group()
def run() -> None:
    """List, show, wait for, cancel and delete runs; read their logs."""


run.add_command(logs)


@run.command("list")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many runs to show.")
@click.option("--before", metavar="RUN_ID", help="Only runs that are older than this one: the next page.")
@click.option("--job", metavar="NAME", help="Only runs of this job.")
@click.option("--location", metavar="NAME", help="Only runs of this code location.")
@click.option(
    "--status",
    multiple=True,
    type=click.Choice([str(status) for status in RunStatus], case_sensitive=False),
    help="Only runs in this status. May be given several times.",
)
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="Only runs with this tag, or these.")
@json_option
def list_runs(
    limit: int,
    before: str | None,
    job: str | None,
    location: str | None,
    status: tuple[str, ...],
    tags: tuple[str, ...],
    as_json: bool,
) -> None:
    """List runs, the newest first."""
    wanted = RunFilter(
        job_name=job,
        location=location,
        statuses=tuple(RunStatus(name) for name in status),
        tags=_tags_of(tags),
    )
    with opened_instance() as instance:
        runs = instance.storage.runs.page(wanted, limit, before_run_id=before)
    if as_json:
        print_json([run_record(item) for item in runs])
        return
    print_table(
        ("run", "job", "location", "status", "created", "took"),
        [
            (
                item.run_id,
                item.job_name,
                item.location,
                status_text(item.status),
                time_text(item.created_at),
                duration_text(item.started_at, item.ended_at),
            )
            for item in runs
        ],
        "No runs.",
    )


@run.command("show")
@click.argument("run_id")
@json_option
def show(run_id: str, as_json: bool) -> None:
    """Show a run: its status, its steps with their times, and why it failed."""
    with opened_instance() as instance:
        found = instance.storage.runs.get(run_id)
        attempts = instance.storage.attempts.of_run(found.run_id)
    if as_json:
        print_json({**run_record(found), "attempts": [attempt_record(item) for item in attempts]})
        return
    _print_run(found, attempts)


@run.command("wait")
@click.argument("run_id")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="How long to wait; else for ever.")
@json_option
def wait(run_id: str, timeout: float | None, as_json: bool) -> int:
    """Wait until a run has ended. Exit code 0 for success, 1 for any other end and when the time is up."""
    with opened_instance() as instance:
        found = instance.storage.runs.get(run_id)
        with instance.watch(found.run_id) as watch:
            ended = wait_for_end(instance, found, watch, timeout_seconds=timeout)
        return report_end(instance, ended, as_json=as_json)


@run.command("cancel")
@click.argument("run_id")
@click.option("--force", is_flag=True, help="CANCELED at once; its steps are stopped all the same.")
@json_option
def cancel(run_id: str, force: bool, as_json: bool) -> None:
    """Cancel a run: no further step starts, and steps that run are interrupted."""
    with opened_instance() as instance:
        canceled = instance.cancel(run_id, force=force)
    if as_json:
        print_json(run_record(canceled))
    else:
        click.echo(f"{canceled.run_id} {canceled.status}")


@run.command("delete")
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN_ID...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def delete(run_ids: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Delete runs that have ended, with their events. What their steps stored stays."""
    if not yes:
        click.confirm(f"Delete {len(run_ids)} run(s) and all of their events?", abort=True, err=True)
    with opened_instance() as instance:
        for run_id in run_ids:
            instance.delete_run(run_id)
    if as_json:
        print_json({"deleted": list(run_ids)})
    else:
        click.echo(f"Deleted {len(run_ids)} run(s).")


@run.command("execute")
@click.argument("run_id")
@target_options
@log_level_option
def execute(targets: Targets, run_id: str, log_level: str) -> int:
    """Carry out a launched run that is one unit of work, or what is left of it, as its container does."""
    log_at(log_level)
    # By name: the workers stand above this package.
    hosting = importlib.import_module("orchord_workers.hosting.main")
    return int(hosting.execute_run(Settings.from_environment(), one_target(targets), run_id))


def report_end(instance: OrchordInstance, ended: Run, *, as_json: bool) -> int:
    """Print how a run stands after a wait, with the errors of its steps; return the exit code that it means."""
    if ended.status is not RunStatus.SUCCESS:
        for attempt in latest_attempts(instance.storage.attempts.of_run(ended.run_id)).values():
            if attempt.error is not None:
                click.secho(f"\n{attempt.step_key}", err=True, fg="red", bold=True)
                click.echo(attempt.error.to_string().rstrip(), err=True)
        if ended.error is not None:
            click.echo(f"\n{ended.error.to_string().rstrip()}", err=True)
    if as_json:
        print_json(run_record(ended))
    else:
        took = duration_text(ended.started_at, ended.ended_at)
        line = Text.assemble("Run ", ended.run_id, " ", status_text(ended.status), f" in {took}")
        console().print(line if ended.status.is_terminal else Text(f"Run {ended.run_id} is still {ended.status}."))
    return EXIT_OK if ended.status is RunStatus.SUCCESS else EXIT_FAILED


def _print_run(found: Run, attempts: list[Attempt]) -> None:
    screen = console()
    rows: list[tuple[str, str | Text]] = [
        ("run", found.run_id),
        ("job", f"{found.job_name}  ({found.location}, {found.executor})"),
        ("status", status_text(found.status)),
        ("created", time_text(found.created_at)),
        ("took", duration_text(found.started_at, found.ended_at)),
    ]
    rows += [("waits", found.waits_for)] if found.waits_for else []
    rows += [("parent", found.parent_run_id)] if found.parent_run_id else []
    rows += [("tag", f"{key}={value}") for key, value in sorted(found.tags.items())]
    for label, value in rows:
        screen.print(Text.assemble((f"{label:<9}", "bold"), value))
    screen.print()
    latest = latest_attempts(attempts)
    print_table(
        ("step", "status", "attempt", "started", "took"),
        [
            (
                attempt.step_key,
                status_text(attempt.status),
                str(attempt.attempt),
                _clock(attempt.started_at),
                duration_text(attempt.started_at, attempt.ended_at),
            )
            for attempt in latest.values()
        ],
        "No step has started.",
    )
    for attempt in latest.values():
        if attempt.error is not None:
            screen.print(Text(f"\n{attempt.step_key}", style="bold red"))
            screen.print(Text(attempt.error.to_string().rstrip()))
    if found.error is not None:
        screen.print(Text(f"\n{found.error.to_string().rstrip()}", style="red"))


def _clock(time: datetime | None) -> str:
    return "-" if time is None else time.astimezone().strftime("%H:%M:%S.%f")[:-3]


def _tags_of(pairs: tuple[str, ...]) -> dict[str, str]:
    mistaken = [pair for pair in pairs if "=" not in pair]
    if mistaken:
        raise click.UsageError(f"--tag wants KEY=VALUE, found: {', '.join(repr(pair) for pair in mistaken)}")
    return dict(pair.split("=", 1) for pair in pairs)
