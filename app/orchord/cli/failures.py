"""How an error is told on the command line: its text on standard error, and the exit code that it means.

The errors themselves are in orchord.errors; what click finds wrong with options is told by click.
"""

from __future__ import annotations

import click

from orchord.errors import (
    CodeLocationLoadError,
    ConflictError,
    NotFoundError,
    OrchordError,
    ResourceInitError,
    StepExecutionError,
    UnavailableError,
)

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_BAD_INPUT = 2

_FAILED = (NotFoundError, ConflictError, UnavailableError, StepExecutionError, ResourceInitError)


def exit_code_of(error: OrchordError) -> int:
    """Return 1 for what is not there, contradicts, does not answer or failed, and 2 for input that is wrong."""
    return EXIT_FAILED if isinstance(error, _FAILED) else EXIT_BAD_INPUT


def say_error(error: OrchordError) -> None:
    """Write an error to standard error; for user code that does not load, with the user's own traceback."""
    if isinstance(error, CodeLocationLoadError) and error.user_traceback:
        click.echo(error.user_traceback.rstrip(), err=True)
    click.secho("Error: ", err=True, nl=False, fg="red", bold=True)
    click.echo(str(error), err=True)
