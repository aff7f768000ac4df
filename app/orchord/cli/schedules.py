"""``orchord schedule``: list and show schedules, turn them on and off, look ahead, try them out, read their ticks.

What schedules and sensors have in common is in ticks.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from orchord.cli.opening import opened_instance
from orchord.cli.output import json_option, print_json, print_table, status_text, time_text
from orchord.cli.records import tick_record
from orchord.cli.ticks import (
    SHOWN_TICKS,
    add_turning_commands,
    common_record,
    list_options,
    location_option,
    print_facts,
    print_ticks,
    report_dry_run,
    time_of,
)
from orchord.events import utc_now
from orchord.ticks import InstigatorKind

if TYPE_CHECKING:
    from orchord.instance.instigators import Instigator

SCHEDULE = InstigatorKind.SCHEDULE


@click.group()
def schedule() -> None:
    """List schedules, turn them on and off, and read their ticks."""


add_turning_commands(schedule, SCHEDULE)


@schedule.command("list")
@list_options(SCHEDULE)
def list_schedules(location: str | None, only: str | None, as_json: bool) -> None:
    """List schedules, with the times of their next ticks."""
    with opened_instance() as instance:
        found = [item for item in instance.schedules(location) if only in (None, str(item.status))]
    if as_json:
        print_json([_record(item) for item in found])
        return
    print_table(
        ("schedule", "location", "status", "job", "cron", "time zone", "next tick"),
        [
            (
                item.key.name,
                item.key.location,
                status_text(item.status),
                item.schedule.job_name,
                ", ".join(item.schedule.cron_schedule),
                item.schedule.execution_timezone,
                time_text(next(iter(item.next_ticks(1, utc_now())), None)) if item.is_running else "-",
            )
            for item in found
        ],
        "No schedules.",
    )


@schedule.command("show")
@click.argument("name")
@location_option
@json_option
def show(name: str, location: str | None, as_json: bool) -> None:
    """Show a schedule: whether it is on, its next ticks and its last ones."""
    with opened_instance() as instance:
        found = instance.instigator(SCHEDULE, name, location)
        last = instance.storage.ticks.page(found.key, SHOWN_TICKS)
    ahead = _ahead(found, SHOWN_TICKS)
    if as_json:
        print_json({**_record(found), "next_ticks": ahead, "last_ticks": [tick_record(tick) for tick in last]})
        return
    print_facts(
        [
            ("schedule", found.key.name),
            ("location", found.key.location),
            ("status", f"{found.status}{' (by its code)' if found.state.status is None else ''}"),
            ("job", found.schedule.job_name),
            ("cron", ", ".join(found.schedule.cron_schedule)),
            ("time zone", found.schedule.execution_timezone),
            ("description", found.schedule.description),
            ("next ticks" if found.is_running else "next ticks, if on", ", ".join(ahead)),
        ]
    )
    print_ticks(last)


@schedule.command("preview")
@click.argument("name")
@location_option
@click.option("-n", "--count", default=10, show_default=True, type=click.IntRange(1, 1000), help="How many times.")
@click.option("--after", metavar="TIME", help="From this time on, such as 2027-03-28T00:00:00+01:00; default: now.")
@json_option
def preview(name: str, location: str | None, count: int, after: str | None, as_json: bool) -> None:
    """Print the times of a schedule's next ticks in its own time zone, whether it is on or not."""
    with opened_instance() as instance:
        found = instance.instigator(SCHEDULE, name, location)
    times = _ahead(found, count, after)
    if as_json:
        print_json(times)
        return
    for time in times:
        click.echo(time)


@schedule.command("dry-run")
@click.argument("name")
@location_option
@click.option("--at", metavar="TIME", help="The time that it is evaluated for; default: its next tick's.")
@json_option
def dry_run(name: str, location: str | None, at: str | None, as_json: bool) -> int:
    """Evaluate a schedule on a worker and print which runs it asks for; none is started."""
    with opened_instance() as instance:
        tick = instance.dry_run(SCHEDULE, name, location, at=time_of(at))
    return report_dry_run(tick, as_json=as_json)


def _ahead(found: Instigator, count: int, after: str | None = None) -> list[str]:
    zone = ZoneInfo(found.schedule.execution_timezone)
    return [time.astimezone(zone).isoformat() for time in found.next_ticks(count, time_of(after) or utc_now())]


def _record(found: Instigator) -> dict[str, Any]:
    return {
        **common_record(found),
        "job": found.schedule.job_name,
        "cron_schedules": list(found.schedule.cron_schedule),
        "execution_timezone": found.schedule.execution_timezone,
        "description": found.schedule.description,
        "next_tick_at": next(iter(_ahead(found, 1)), None) if found.is_running else None,
    }
