"""What ``orchord schedule`` and ``orchord sensor`` share: turning on and off, printing ticks, trying out, wiping.

The two groups of commands are schedules.py and sensors.py; what they call is orchord.instance.instigating.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.text import Text

from orchord.cli.failures import EXIT_FAILED, EXIT_OK
from orchord.cli.opening import opened_instance
from orchord.cli.output import console, duration_text, json_option, print_json, print_table, status_text, time_text
from orchord.cli.records import tick_record
from orchord.ticks import InstigatorKind, InstigatorStatus, Tick, TickStatus

if TYPE_CHECKING:
    from orchord.instance import OrchordInstance
    from orchord.instance.instigators import Instigator

Command = TypeVar("Command", bound=Callable[..., Any])
Change = Callable[["OrchordInstance", InstigatorKind, str, str | None], "Instigator"]

SHOWN_TICKS = 5
SHOWN_RUNS = 5


def location_option(command: Command) -> Command:
    """Add ``--location``."""
    return click.option("--location", metavar="NAME", help="The code location, when several have one of this name.")(
        command
    )


def list_options(kind: InstigatorKind) -> Callable[[Command], Command]:
    """Return what adds the options of ``list``: ``--location``, ``--running`` and ``--stopped``, and ``--json``."""

    def add(command: Command) -> Command:
        words = f"{kind.value.lower()}s"
        command = json_option(command)
        command = click.option("--stopped", "only", flag_value="STOPPED", help="Only those that are off.")(command)
        command = click.option("--running", "only", flag_value="RUNNING", help="Only those that are on.")(command)
        return click.option("--location", metavar="NAME", help=f"Only the {words} of this code location.")(command)

    return add


def add_turning_commands(group: click.Group, kind: InstigatorKind) -> None:
    """Add ``start``, ``stop``, ``reset``, ``ticks`` and ``wipe`` to a group of commands."""
    word = kind.value.lower()
    group.add_command(_turning(kind, "start", f"Turn a {word} on.", has_all=True))
    group.add_command(_turning(kind, "stop", f"Turn a {word} off. Runs that it started go on.", has_all=True))
    group.add_command(
        _turning(kind, "reset", f"Forget that a {word} was started or stopped: its code's default holds.")
    )
    ticks = _ticks_command(kind)
    group.add_command(ticks)
    group.add_command(ticks, "logs")
    group.add_command(_wipe_command(kind))


def _turning(kind: InstigatorKind, verb: str, summary: str, *, has_all: bool = False) -> click.Command:
    def turn(name: str | None, location: str | None, as_json: bool, *, all_of_them: bool = False) -> None:
        if (name is None) is not all_of_them:
            wanted = f"a name, or --{verb}-all" if has_all else "a name"
            raise click.UsageError(f"Give {wanted}.")
        with opened_instance() as instance:
            if name is None:
                changed = instance.set_all_instigators(kind, _STATUSES[verb], location)
            else:
                changed = [_CHANGES[verb](instance, kind, name, location)]
        if as_json:
            print_json([common_record(found) for found in changed])
            return
        for found in changed:
            click.echo(f"{kind.value.lower()} {found.key.name} of {found.key.location}: {found.status}")

    command: Callable[..., None] = turn
    command = json_option(location_option(command))
    if has_all:
        command = click.option(f"--{verb}-all", "all_of_them", is_flag=True, help="All of them, or all of --location.")(
            command
        )
    command = click.argument("name", required=not has_all)(command)
    return click.command(verb, help=summary)(command)


_CHANGES: Mapping[str, Change] = {
    "start": lambda instance, kind, name, place: instance.start_instigator(kind, name, place),
    "stop": lambda instance, kind, name, place: instance.stop_instigator(kind, name, place),
    "reset": lambda instance, kind, name, place: instance.reset_instigator(kind, name, place),
}
_STATUSES = {"start": InstigatorStatus.RUNNING, "stop": InstigatorStatus.STOPPED}


def common_record(found: Instigator) -> dict[str, Any]:
    """Return what JSON says of schedules and sensors alike."""
    return {
        "name": found.key.name,
        "location": found.key.location,
        "status": str(found.status),
        "is_default": found.state.status is None,
    }


def _ticks_command(kind: InstigatorKind) -> click.Command:
    @click.command("ticks")
    @click.argument("name")
    @location_option
    @click.option(
        "--status",
        multiple=True,
        type=click.Choice([str(status) for status in TickStatus], case_sensitive=False),
        help="Only ticks in this status. May be given several times.",
    )
    @click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many to show.")
    @click.option("--before", type=click.IntRange(min=0), metavar="TICK", help="Only older ones: the next page.")
    @json_option
    def ticks(
        name: str, location: str | None, status: tuple[str, ...], limit: int, before: int | None, as_json: bool
    ) -> None:
        with opened_instance() as instance:
            key = instance.instigator(kind, name, location).key
            statuses = [TickStatus(one) for one in status]
            found = instance.storage.ticks.page(key, limit, before_id=before, statuses=statuses)
        if as_json:
            print_json([tick_record(tick) for tick in found])
        else:
            print_ticks(found)

    ticks.help = f"List the ticks of a {kind.value.lower()}, the newest first, with the runs that they made."
    return ticks


def _wipe_command(kind: InstigatorKind) -> click.Command:
    words = f"{kind.value.lower()}s"

    @click.command("wipe")
    @click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
    @json_option
    def wipe(is_sure: bool, as_json: bool) -> None:
        if not is_sure:
            click.confirm(
                f"Forget the ticks of all {words}, and that any was started or stopped?", abort=True, err=True
            )
        with opened_instance() as instance:
            wiped = instance.wipe_instigators(kind)
        if as_json:
            print_json({"ticks": wiped})
        else:
            click.echo(f"{wiped} ticks are gone; what the code says of its {words} holds.")

    also = ", and the cursors" if kind is InstigatorKind.SENSOR else ""
    wipe.help = f"Forget the ticks of all {words}{also}, and that any was started or stopped."
    return wipe


def _runs(run_ids: Sequence[str]) -> str:
    shown = [*run_ids[:SHOWN_RUNS]]
    if len(run_ids) > SHOWN_RUNS:
        shown.append(f"and {len(run_ids) - SHOWN_RUNS} more (--json shows them)")
    return "\n".join(shown) or "-"


def print_ticks(ticks: Iterable[Tick]) -> None:
    """Print ticks as a table."""
    print_table(
        ("tick", "status", "planned", "took", "runs", "what"),
        [
            (
                str(tick.tick_id),
                status_text(tick.status),
                time_text(tick.planned_at),
                duration_text(tick.started_at, tick.ended_at) if tick.status.is_final else "-",
                _runs(tick.run_ids),
                _what(tick),
            )
            for tick in ticks
        ],
        "No ticks.",
    )


def _what(tick: Tick) -> Text:
    if tick.error is not None:
        return Text(f"{tick.error.cls_name}: {tick.error.message}", style="red")
    known = tick.data.get("deduplicated") or ()
    return Text(tick.skip_reason or (f"existed already: {', '.join(map(str, known))}" if known else ""))


def print_facts(facts: Sequence[tuple[str, object]]) -> None:
    """Print names with values, one a line."""
    screen = console()
    width = max(len(name) for name, _ in facts) + 2
    for name, value in facts:
        screen.print(Text.assemble((f"{name:<{width}}", "bold"), "-" if value in (None, "") else str(value)))


def report_dry_run(tick: Tick, *, as_json: bool) -> int:
    """Print what a dry run came to; return the exit code, 1 when the evaluation failed."""
    requests: list[dict[str, Any]] = list(tick.data.get("requests") or ())
    if as_json:
        print_json({**tick_record(tick), "requests": requests})
    elif tick.error is not None:
        click.echo(tick.error.to_string(), err=True)
    else:
        if tick.skip_reason is not None:
            click.echo(f"Skipped: {tick.skip_reason}")
        for request in requests:
            key = f" with run_key '{request['run_key']}'" if request.get("run_key") else ""
            click.echo(f"Run of {request.get('job_name')}{key}: {request.get('run_config') or {}}")
        if tick.cursor is not None:
            click.echo(f"Cursor: {tick.cursor}")
    for record in tick.data.get("log") or ():
        click.echo(f"{record.get('level', '')} {record.get('message', '')}", err=True)
    return EXIT_FAILED if tick.status is TickStatus.FAILURE else EXIT_OK


def time_of(text: str | None) -> datetime | None:
    """Read an aware time from an option.

    Raises:
        click.UsageError: it is none.
    """
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"'{text}' is no time. Give one such as 2027-01-31T06:00:00+01:00.") from None
    return time.astimezone() if time.tzinfo is None else time
