"""Every error that Orchord raises on purpose, and how lists of mistakes are worded.

    OrchordError
    ├── InvalidDefinitionError      a definition cannot be right (DagsterInvalidDefinitionError)
    ├── InvalidInvocationError      an op or asset is called in a way it does not allow
    ├── InvalidConfigError          run, resource or op config has mistakes, all listed
    ├── InvalidSubsetError          an op or asset selection names nothing that exists
    ├── InvariantViolationError     user code broke a rule while it ran
    ├── TypeCheckError              a value does not fit its declared type
    ├── StepExecutionError          a step failed; carries the user's error as its cause
    ├── StepTimeoutError            a step took longer than its time limit
    ├── ResourceInitError           a resource could not be set up
    ├── NotFoundError               ├── RunNotFoundError, JobNotFoundError, LocationNotFoundError, AssetNotFoundError
    ├── ConflictError               the thing asked for contradicts what is stored
    ├── CodeLocationLoadError       user code could not be imported; carries the user's traceback
    ├── InstanceConfigError         orchord.yaml has mistakes, all listed
    └── UnavailableError            a service cannot be reached: StorageUnavailableError, BrokerUnavailableError

User-raised signals (Failure, RetryRequested) are definitions; they live in definitions/signals.py.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class OrchordError(Exception):
    """Root of everything that Orchord raises on purpose."""


class InvalidDefinitionError(OrchordError):
    """A definition, or a set of definitions together, cannot be right."""


class InvalidInvocationError(OrchordError):
    """An op, asset or resource is invoked in a way that its definition does not allow."""


class ListedError(OrchordError):
    """An error that carries every mistake found, not only the first."""

    def __init__(self, headline: str, mistakes: Sequence[str] = ()) -> None:
        self.headline = headline
        self.mistakes = tuple(mistakes)
        super().__init__(numbered(headline, self.mistakes))


class InvalidConfigError(ListedError):
    """Config has mistakes. ``mistakes`` holds one sentence each: path, value found, and the fix."""


class InstanceConfigError(ListedError):
    """The instance file has mistakes, all of them listed."""


class InvalidSubsetError(ListedError):
    """A selection names steps or assets that do not exist, or selects nothing."""


class InvariantViolationError(OrchordError):
    """User code broke a rule while it ran, such as yielding an output that its op does not declare."""


class TypeCheckError(OrchordError):
    """A value does not fit the type that its input or output declares."""


class StepExecutionError(OrchordError):
    """A step failed. ``__cause__`` is the user's error."""

    def __init__(self, message: str, step_key: str) -> None:
        self.step_key = step_key
        super().__init__(message)


class StepTimeoutError(OrchordError):
    """A step took longer than its time limit. Raised in the middle of the user's function, which may clean up."""


class ResourceInitError(OrchordError):
    """A resource's function, or its set-up, failed. ``__cause__`` is the user's error."""


class NotFoundError(OrchordError):
    """What was asked for is not there."""


class RunNotFoundError(NotFoundError):
    """No run has this id."""


class JobNotFoundError(NotFoundError):
    """No job has this name in the location."""


class LocationNotFoundError(NotFoundError):
    """No code location has this name."""


class AssetNotFoundError(NotFoundError):
    """No asset has this key."""


class ConflictError(OrchordError):
    """The request contradicts what is stored, such as cancelling a run that has ended."""


class CodeLocationLoadError(OrchordError):
    """User code could not be loaded. ``user_traceback`` holds only the user's own frames."""

    def __init__(self, message: str, user_traceback: str = "") -> None:
        self.user_traceback = user_traceback
        super().__init__(message)


class UnavailableError(OrchordError):
    """A service that Orchord needs cannot be reached."""


class StorageUnavailableError(UnavailableError):
    """The database cannot be reached, or answers with a connection error."""


class BrokerUnavailableError(UnavailableError):
    """The broker or the result backend cannot be reached."""


def numbered(headline: str, mistakes: Sequence[str]) -> str:
    """Word a headline and its mistakes: one mistake stays on the headline's own lines, several are numbered."""
    if not mistakes:
        return headline
    if len(mistakes) == 1:
        return f"{headline}: {mistakes[0]}"
    lines = [f"{headline} ({len(mistakes)} mistakes):"]
    lines += [f"  {number}. {mistake}" for number, mistake in enumerate(mistakes, start=1)]
    return "\n".join(lines)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest known name, or the known names, or an empty string."""
    names = sorted({str(candidate) for candidate in known})
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f" Did you mean '{close[0]}'?"
    if names and len(names) <= 10:
        return f" Known: {', '.join(names)}."
    return ""
