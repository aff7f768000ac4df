"""What a step's process is told, and where it finds the code and all else that it works with.

The way there and back is frames.py; who starts the process is children.py and template.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from orchord.execution.request import StepRequest
from orchord.runs import Run

if TYPE_CHECKING:
    from orchord.compute_logs import ComputeLogManager
    from orchord.definitions.job import JobDefinition
    from orchord.definitions.job_config import ResolvedRunConfig


def _nothing() -> None:
    """Give nothing back."""


@dataclass(frozen=True)
class StepMeans:
    """What a step needs beside its request.

    Attributes:
        job: the job, with its resources bound.
        resolved: the run's config, checked.
        instance: what user code gets as ``context.instance``.
        compute_logs: where what the step prints is kept; None leaves it alone.
        close: gives back what was opened for the step.
    """

    job: JobDefinition
    resolved: ResolvedRunConfig
    instance: Any
    compute_logs: ComputeLogManager | None = None
    close: Callable[[], None] = field(default=_nothing)


class StepSource(Protocol):
    """Where a process finds what its step needs. It is pickled, unless the process is forked from one that has it."""

    def load(self) -> None:
        """Load the user's code. Called once in a template, before it forks; and may be called again at no cost."""

    def means(self, run: Run, owner: str) -> StepMeans:
        """Return what a step of a run needs, in the step's own process. What is raised here fails the step.

        ``owner`` is who looks after what the step prints: the identity of the worker, or empty.
        """


@dataclass(frozen=True, slots=True)
class ProcessRequest:
    """What a step's process is told.

    Attributes:
        step: the attempt to make.
        owner: who looks after what the step prints: the identity of the worker, or empty.
    """

    step: StepRequest
    owner: str = ""
