"""``orchord doctor``: what is wrong in the instance, since when, and what helps; with ``--repair`` it is mended.

The examination itself stands above this package, and is called by name.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import click
from rich.text import Text

from orchord.cli.failures import EXIT_FAILED, EXIT_OK
from orchord.cli.opening import opened_instance
from orchord.cli.output import json_option, print_json, print_table, time_text

if TYPE_CHECKING:
    from orchord.instance import OrchordInstance

_EXAMINATION = ("orchord_beat.examination", "Examination")


class Finding(Protocol):
    """One thing that is wrong: of what, what, since when (None: unknown), and what people can do about it."""

    @property
    def subject(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def since(self) -> datetime | None: ...
    @property
    def fix(self) -> str: ...


class Examination(Protocol):
    """Looks through the instance that its class is called with."""

    def findings(self) -> Sequence[Finding]:
        """Return everything that is wrong now."""

    def repair(self, finding: Finding) -> str | None:
        """Mend one thing, and return in words what was done; None when only people can."""


@click.command()
@click.option("--repair", "repairs", is_flag=True, help="Mend what can be mended.")
@json_option
def doctor(repairs: bool, as_json: bool) -> int:
    """Look for what is wrong: lost workers, runs that are stuck, services that are away.

    A daemon mends most of it by itself; this is for who wants to see it, or has none. Exit code 1: something is left.
    """
    with opened_instance(prepared=False) as instance:
        examination = _examination(instance)
        looked = [(finding, _done(examination, finding) if repairs else None) for finding in examination.findings()]
    if as_json:
        print_json([_record(finding, done) for finding, done in looked])
    else:
        _print(looked)
    return EXIT_FAILED if any(done is None for _, done in looked) else EXIT_OK


def _examination(instance: OrchordInstance) -> Examination:
    module, name = _EXAMINATION
    examination: Examination = getattr(importlib.import_module(module), name)(instance)
    return examination


def _done(examination: Examination, finding: Finding) -> str | None:
    return examination.repair(finding)


def _record(finding: Finding, done: str | None) -> dict[str, Any]:
    return {
        "subject": finding.subject,
        "what": finding.what,
        "since": finding.since,
        "fix": finding.fix,
        "repaired": done,
    }


def _print(looked: Sequence[tuple[Finding, str | None]]) -> None:
    print_table(
        ("subject", "what is wrong", "since", "what helps"),
        [
            (
                finding.subject,
                finding.what,
                time_text(finding.since),
                Text(f"done: {done}", style="green") if done is not None else Text(finding.fix),
            )
            for finding, done in looked
        ],
        "Nothing is wrong.",
    )
