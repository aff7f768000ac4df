"""``orchord sensor``: list and show sensors, turn them on and off, set cursors, push, try them out, read their ticks.

What schedules and sensors have in common is in ticks.py.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

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
)
from orchord.ticks import InstigatorKind

if TYPE_CHECKING:
    from orchord.instance.instigators import Instigator

SENSOR = InstigatorKind.SENSOR


@click.group()
def sensor() -> None:
    """List sensors, turn them on and off, push to them, and read their ticks."""


add_turning_commands(sensor, SENSOR)


@sensor.command("list")
@list_options(SENSOR)
def list_sensors(location: str | None, only: str | None, as_json: bool) -> None:
    """List sensors."""
    with opened_instance() as instance:
        found = [item for item in instance.sensors(location) if only in (None, str(item.status))]
    if as_json:
        print_json([_record(item) for item in found])
        return
    print_table(
        ("sensor", "location", "status", "kind", "evaluated", "jobs", "last tick"),
        [
            (
                item.key.name,
                item.key.location,
                status_text(item.status),
                item.sensor.kind,
                _when(item),
                ", ".join(item.sensor.job_names) or "-",
                time_text(item.state.last_tick_ended_at),
            )
            for item in found
        ],
        "No sensors.",
    )


@sensor.command("show")
@click.argument("name")
@location_option
@json_option
def show(name: str, location: str | None, as_json: bool) -> None:
    """Show a sensor: whether it is on, its cursor and its last ticks."""
    with opened_instance() as instance:
        found = instance.instigator(SENSOR, name, location)
        last = instance.storage.ticks.page(found.key, SHOWN_TICKS)
    if as_json:
        print_json({**_record(found), "last_ticks": [tick_record(tick) for tick in last]})
        return
    print_facts(
        [
            ("sensor", found.key.name),
            ("location", found.key.location),
            ("status", f"{found.status}{' (by its code)' if found.state.status is None else ''}"),
            ("kind", found.sensor.kind),
            ("evaluated", _when(found)),
            ("jobs", ", ".join(found.sensor.job_names)),
            ("description", found.sensor.description),
            ("cursor", found.state.cursor),
            ("last run key", found.state.last_run_key),
        ]
    )
    print_ticks(last)


@sensor.command("cursor")
@click.argument("name")
@location_option
@click.option("--set", "cursor", metavar="TEXT", help="Set the cursor.")
@click.option("--delete", "deletes", is_flag=True, help="Take the cursor away, as before the first tick.")
@json_option
def cursor(name: str, location: str | None, cursor: str | None, deletes: bool, as_json: bool) -> None:
    """Print, set or delete what a sensor's next tick gets as its cursor."""
    if deletes and cursor is not None:
        raise click.UsageError("Give --set or --delete, not both.")
    with opened_instance() as instance:
        if deletes or cursor is not None:
            found = instance.set_sensor_cursor(name, cursor, location)
        else:
            found = instance.instigator(SENSOR, name, location)
    if as_json:
        print_json({"name": found.key.name, "location": found.key.location, "cursor": found.state.cursor})
    elif found.state.cursor is None:
        click.echo("No cursor.", err=True)
    else:
        click.echo(found.state.cursor)


@sensor.command("push")
@click.argument("name")
@location_option
@click.option("--payload", metavar="JSON", help="A JSON object, which the sensor's context gives as `payload`.")
@click.option("--idempotency-key", metavar="KEY", help="The same key again gives the same tick, and makes no second.")
@json_option
def push(name: str, location: str | None, payload: str | None, idempotency_key: str | None, as_json: bool) -> None:
    """Have a sensor that is on evaluated now. `sensor ticks` shows what comes of it."""
    with opened_instance() as instance:
        tick, _ = instance.push_sensor(name, _payload(payload) or {}, location, idempotency_key)
    if as_json:
        print_json(tick_record(tick))
    else:
        click.echo(f"Tick {tick.tick_id} of sensor {name} is recorded, and will be evaluated.")


@sensor.command("preview")
@click.argument("name")
@location_option
@click.option("--payload", metavar="JSON", help="A JSON object, as if it were pushed.")
@click.option("--cursor", metavar="TEXT", help="The cursor that it gets, in place of the one that is stored.")
@json_option
def preview(name: str, location: str | None, payload: str | None, cursor: str | None, as_json: bool) -> int:
    """Evaluate a sensor on a worker and print which runs it asks for; none is started, and its cursor stays."""
    given = _payload(payload)
    with opened_instance() as instance:
        tick = instance.dry_run(SENSOR, name, location, payload=given, cursor=cursor)
    return report_dry_run(tick, as_json=as_json)


sensor.add_command(preview, "dry-run")


def _payload(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise click.UsageError(f"--payload: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise click.UsageError(f"--payload: must be a JSON object, found {type(value).__name__}")
    return value


def _when(found: Instigator) -> str:
    if found.interval_seconds is None:
        return f"when a run comes to {found.sensor.run_status}"
    return f"every {found.interval_seconds:g} s"


def _record(found: Instigator) -> dict[str, Any]:
    return {
        **common_record(found),
        "kind": found.sensor.kind,
        "minimum_interval_seconds": found.interval_seconds,
        "jobs": list(found.sensor.job_names),
        "description": found.sensor.description,
        "cursor": found.state.cursor,
        "last_run_key": found.state.last_run_key,
        "last_tick_ended_at": found.state.last_tick_ended_at,
    }
