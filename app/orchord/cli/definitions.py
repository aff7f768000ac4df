"""``orchord definitions validate``: does the code load, and what is in it.

Loading itself, and wording what is wrong, is orchord.location.
"""

from __future__ import annotations

from dataclasses import dataclass

import click

from orchord.cli.failures import EXIT_BAD_INPUT, EXIT_OK, say_error
from orchord.cli.output import json_option, print_json
from orchord.cli.targets import Targets, required_targets, target_options
from orchord.errors import InvalidDefinitionError, OrchordError, numbered
from orchord.instance.placement import misfits_anywhere
from orchord.location import LocationTarget, load_location


@dataclass(frozen=True)
class _Verdict:
    name: str
    error: OrchordError | None
    counts: dict[str, int]


@click.group()
def definitions() -> None:
    """Check that a code location loads."""


@definitions.command("validate")
@target_options
@json_option
def validate(targets: Targets, as_json: bool) -> int:
    """Load the code as a worker would, and list every mistake. Exit code 0 when there is none, else 2."""
    verdicts = [_judge(target) for target in required_targets(targets)]
    for verdict in verdicts:
        if verdict.error is not None:
            say_error(verdict.error)
        elif not as_json:
            counts = ", ".join(
                f"{number} {kind if number > 1 else kind.removesuffix('s')}"
                for kind, number in verdict.counts.items()
                if number
            )
            click.echo(f"{verdict.name} is valid: {counts or 'no definitions'}.")
    if as_json:
        print_json(
            [
                {
                    "location": verdict.name,
                    "valid": verdict.error is None,
                    "error": None if verdict.error is None else str(verdict.error),
                    **verdict.counts,
                }
                for verdict in verdicts
            ]
        )
    return EXIT_OK if all(verdict.error is None for verdict in verdicts) else EXIT_BAD_INPUT


def _judge(target: LocationTarget) -> _Verdict:
    try:
        snapshot = load_location(target).snapshot
    except OrchordError as error:
        return _Verdict(target.location_name, error, {})
    mistakes = [f"job '{job.name}': {reason}" for job in snapshot.jobs for reason in misfits_anywhere(job)]
    if mistakes:
        headline = f"Code location '{snapshot.name}' has jobs that cannot run"
        return _Verdict(snapshot.name, InvalidDefinitionError(numbered(headline, mistakes)), {})
    counts = {
        "jobs": sum(not job.name.startswith("__") for job in snapshot.jobs),
        "assets": len(snapshot.assets),
        "schedules": len(snapshot.schedules),
        "sensors": len(snapshot.sensors),
    }
    return _Verdict(snapshot.name, None, counts)
